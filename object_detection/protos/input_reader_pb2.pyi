from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InstanceMaskType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEFAULT: _ClassVar[InstanceMaskType]
    NUMERICAL_MASKS: _ClassVar[InstanceMaskType]
    PNG_MASKS: _ClassVar[InstanceMaskType]

class InputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_DEFAULT: _ClassVar[InputType]
    TF_EXAMPLE: _ClassVar[InputType]
    TF_SEQUENCE_EXAMPLE: _ClassVar[InputType]
DEFAULT: InstanceMaskType
NUMERICAL_MASKS: InstanceMaskType
PNG_MASKS: InstanceMaskType
INPUT_DEFAULT: InputType
TF_EXAMPLE: InputType
TF_SEQUENCE_EXAMPLE: InputType

class InputReader(_message.Message):
    __slots__ = ("label_map_path", "shuffle", "queue_capacity", "min_after_dequeue", "num_epochs", "num_readers", "load_instance_masks", "tf_record_input_reader", "external_input_reader", "mask_type", "shuffle_buffer_size", "filenames_shuffle_buffer_size", "prefetch_size", "num_parallel_map_calls", "read_block_length", "num_keypoints", "use_display_name", "num_additional_channels", "num_parallel_batches", "num_prefetch_batches", "max_number_of_boxes", "sample_1_of_n_examples", "name", "load_multiclass_scores", "load_context_features", "keypoint_type_weight", "include_source_id", "expand_labels_hierarchy", "input_type", "load_dense_pose", "frame_index", "load_track_id", "sample_from_datasets_weights", "drop_remainder", "load_context_image_ids", "load_keypoint_depth_features", "use_keypoint_label_map", "crop_masks", "cache_folder", "data_service", "ignore_class")
    LABEL_MAP_PATH_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    MIN_AFTER_DEQUEUE_FIELD_NUMBER: _ClassVar[int]
    NUM_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    NUM_READERS_FIELD_NUMBER: _ClassVar[int]
    LOAD_INSTANCE_MASKS_FIELD_NUMBER: _ClassVar[int]
    TF_RECORD_INPUT_READER_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_INPUT_READER_FIELD_NUMBER: _ClassVar[int]
    MASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    FILENAMES_SHUFFLE_BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    NUM_PARALLEL_MAP_CALLS_FIELD_NUMBER: _ClassVar[int]
    READ_BLOCK_LENGTH_FIELD_NUMBER: _ClassVar[int]
    NUM_KEYPOINTS_FIELD_NUMBER: _ClassVar[int]
    USE_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    NUM_ADDITIONAL_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    NUM_PARALLEL_BATCHES_FIELD_NUMBER: _ClassVar[int]
    NUM_PREFETCH_BATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_NUMBER_OF_BOXES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_1_OF_N_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOAD_MULTICLASS_SCORES_FIELD_NUMBER: _ClassVar[int]
    LOAD_CONTEXT_FEATURES_FIELD_NUMBER: _ClassVar[int]
    KEYPOINT_TYPE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPAND_LABELS_HIERARCHY_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    LOAD_DENSE_POSE_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    LOAD_TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FROM_DATASETS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    DROP_REMAINDER_FIELD_NUMBER: _ClassVar[int]
    LOAD_CONTEXT_IMAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    LOAD_KEYPOINT_DEPTH_FEATURES_FIELD_NUMBER: _ClassVar[int]
    USE_KEYPOINT_LABEL_MAP_FIELD_NUMBER: _ClassVar[int]
    CROP_MASKS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FOLDER_FIELD_NUMBER: _ClassVar[int]
    DATA_SERVICE_FIELD_NUMBER: _ClassVar[int]
    IGNORE_CLASS_FIELD_NUMBER: _ClassVar[int]
    label_map_path: str
    shuffle: bool
    queue_capacity: int
    min_after_dequeue: int
    num_epochs: int
    num_readers: int
    load_instance_masks: bool
    tf_record_input_reader: TFRecordInputReader
    external_input_reader: ExternalInputReader
    mask_type: InstanceMaskType
    shuffle_buffer_size: int
    filenames_shuffle_buffer_size: int
    prefetch_size: int
    num_parallel_map_calls: int
    read_block_length: int
    num_keypoints: int
    use_display_name: bool
    num_additional_channels: int
    num_parallel_batches: int
    num_prefetch_batches: int
    max_number_of_boxes: int
    sample_1_of_n_examples: int
    name: str
    load_multiclass_scores: bool
    load_context_features: bool
    keypoint_type_weight: _containers.RepeatedScalarFieldContainer[float]
    include_source_id: bool
    expand_labels_hierarchy: bool
    input_type: InputType
    load_dense_pose: bool
    frame_index: int
    load_track_id: bool
    sample_from_datasets_weights: _containers.RepeatedScalarFieldContainer[float]
    drop_remainder: bool
    load_context_image_ids: bool
    load_keypoint_depth_features: bool
    use_keypoint_label_map: bool
    crop_masks: bool
    cache_folder: str
    data_service: str
    ignore_class: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label_map_path: _Optional[str] = ..., shuffle: bool = ..., queue_capacity: _Optional[int] = ..., min_after_dequeue: _Optional[int] = ..., num_epochs: _Optional[int] = ..., num_readers: _Optional[int] = ..., load_instance_masks: bool = ..., tf_record_input_reader: _Optional[_Union[TFRecordInputReader, _Mapping]] = ..., external_input_reader: _Optional[_Union[ExternalInputReader, _Mapping]] = ..., mask_type: _Optional[_Union[InstanceMaskType, str]] = ..., shuffle_buffer_size: _Optional[int] = ..., filenames_shuffle_buffer_size: _Optional[int] = ..., prefetch_size: _Optional[int] = ..., num_parallel_map_calls: _Optional[int] = ..., read_block_length: _Optional[int] = ..., num_keypoints: _Optional[int] = ..., use_display_name: bool = ..., num_additional_channels: _Optional[int] = ..., num_parallel_batches: _Optional[int] = ..., num_prefetch_batches: _Optional[int] = ..., max_number_of_boxes: _Optional[int] = ..., sample_1_of_n_examples: _Optional[int] = ..., name: _Optional[str] = ..., load_multiclass_scores: bool = ..., load_context_features: bool = ..., keypoint_type_weight: _Optional[_Iterable[float]] = ..., include_source_id: bool = ..., expand_labels_hierarchy: bool = ..., input_type: _Optional[_Union[InputType, str]] = ..., load_dense_pose: bool = ..., frame_index: _Optional[int] = ..., load_track_id: bool = ..., sample_from_datasets_weights: _Optional[_Iterable[float]] = ..., drop_remainder: bool = ..., load_context_image_ids: bool = ..., load_keypoint_depth_features: bool = ..., use_keypoint_label_map: bool = ..., crop_masks: bool = ..., cache_folder: _Optional[str] = ..., data_service: _Optional[str] = ..., ignore_class: _Optional[_Iterable[str]] = ...) -> None: ...

class TFRecordInputReader(_message.Message):
    __slots__ = ("input_path",)
    INPUT_PATH_FIELD_NUMBER: _ClassVar[int]
    input_path: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, input_path: _Optional[_Iterable[str]] = ...) -> None: ...

class ExternalInputReader(_message.Message):
    __slots__ = ()
    Extensions: _python_message._ExtensionDict
    def __init__(self) -> None: ...
