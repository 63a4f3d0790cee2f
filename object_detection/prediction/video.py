"""Reads frames of videos and webcams, and writes videos, with OpenCV (extra `video`)."""

import os
from pathlib import Path

import numpy as np

from object_detection.errors import missing_extra

_RATE = 25.0  # frames per second, if the source does not say


def is_webcam(source):
    """Return whether a source is the number of a webcam."""
    return isinstance(source, (int, np.integer)) or str(source).isdecimal()


def frames(source, max_frames=None):
    """Open a video.

    Args:
        source: Path or address (rtsp://..., http://...) of a video, or the number of a webcam.
        max_frames: Largest number of frames to read.

    Returns:
        `Frames`.

    Raises:
        ValueError: It cannot be opened, or OpenCV is not installed.
    """
    return Frames(source, max_frames)


class Frames:
    """An iterator over frames, uint8 [h, w, 3] RGB.

    Attributes:
        rate: Frames per second.
        count: Number of frames; None if unknown.
        is_live: Whether frames arrive in real time, from a webcam or over the network.
    """

    def __init__(self, source, max_frames):
        cv2 = opencv()
        self._cv2, self._left = cv2, max_frames
        webcam = is_webcam(source)
        self.is_live = webcam or "://" in str(source)
        if not self.is_live and not Path(source).is_file():
            raise ValueError(f"there is no video {source}")
        self._capture = cv2.VideoCapture(int(source) if webcam else os.fspath(source))
        if not self._capture.isOpened():
            what = f"webcam {source}" if webcam else f"{source} as a video"
            raise ValueError(f"OpenCV cannot open {what}")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else _RATE
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None
        if max_frames is not None:
            self.count = min(max_frames, self.count or max_frames)

    def __iter__(self):
        return self

    def __next__(self):
        if self._left == 0:
            self.close()
        is_read, frame = self._capture.read() if self._capture.isOpened() else (False, None)
        if not is_read:
            self.close()
            raise StopIteration
        self._left = None if self._left is None else self._left - 1
        if frame.ndim == 2:
            return np.repeat(frame[..., np.newaxis], 3, axis=2)
        return np.ascontiguousarray(frame[..., 2::-1])  # OpenCV has blue first

    def close(self):
        """Release the file or the webcam."""
        self._capture.release()


class VideoFile:
    """An MP4 file that is written frame by frame.

    Args:
        path: Of the file.
        rate: Frames per second.
    """

    def __init__(self, path, rate):
        self._cv2, self._path, self._rate, self._writer = opencv(), str(path), rate, None

    def add(self, frame):
        """Write uint8 [h, w, 3] RGB; raises ValueError if the video cannot be written."""
        if self._writer is None:
            code = self._cv2.VideoWriter_fourcc(*"mp4v")
            size = frame.shape[1], frame.shape[0]
            self._writer = self._cv2.VideoWriter(self._path, code, self._rate, size)
            if not self._writer.isOpened():
                raise ValueError(f"OpenCV cannot write a video of {size[0]} x {size[1]} to "
                                 f"{self._path}")  # fmt: skip
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def close(self):
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


def opencv(purpose="videos and webcams"):
    """Return the module `cv2`.

    Args:
        purpose: What needs it, in the plural.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise missing_extra(f"{purpose} need OpenCV", "video", error) from None
    return cv2
