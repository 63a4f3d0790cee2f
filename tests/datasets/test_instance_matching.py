"""Which pixels of a mask image are which object's."""

import numpy as np
import pytest
from PIL import Image
from voc_sets import HEIGHT, WIDTH, box_around, color_png, disc, palette_png

from object_detection.datasets import mask_images
from object_detection.errors import AnnotationError

CAT, DOG, COW = disc(20, 20, 12), disc(35, 55, 15), disc(50, 12, 6)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 230)


def _numbers(*masks):
    """Numbers [h, w], 1 for the first mask and so on; later ones lie on top."""
    pixels = np.zeros((HEIGHT, WIDTH), np.int64)
    for number, mask in enumerate(masks, start=1):
        pixels[mask] = number
    return pixels


def _boxes(*masks):
    return np.array([box_around(mask) for mask in masks], float)


def _by_color(path, masks, classes):
    regions = mask_images.read_regions(path, numbered=False)
    return mask_images.match_by_color(regions, _boxes(*masks), classes)


def _same(match, *masks):
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(match.masks[number], mask)


@pytest.mark.parametrize("kind", ["palette", "gray", "rgb of the palette", "gray rgb", "16 bits"])
def test_numbers_are_read_in_every_dress(tmp_path, kind):
    pixels, path = _numbers(CAT, DOG), tmp_path / "a.png"
    if kind == "palette":
        palette_png(path, pixels)
    elif kind == "16 bits":
        Image.fromarray(pixels.astype(np.uint16)).save(path)
    elif kind == "gray":
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    else:
        colors = [
            mask_images.palette_color(n) if "palette" in kind else (n,) * 3 for n in (0, 1, 2)
        ]
        color_png(path, pixels, colors)

    regions = mask_images.read_regions(path, numbered=True)

    np.testing.assert_array_equal(regions.values[regions.labels], pixels)
    assert not regions.of_colors


def test_a_palette_that_was_put_in_another_order_counts_by_its_colors(tmp_path):
    image = Image.fromarray(np.where(CAT, 0, 5).astype(np.uint8)).convert("P")
    image.putpalette([128, 0, 0] + [9, 9, 9] * 4 + [0, 0, 0])  # an editor put black last
    image.save(tmp_path / "a.png")

    regions = mask_images.read_regions(tmp_path / "a.png", numbered=True)

    np.testing.assert_array_equal(regions.values[regions.labels], CAT.astype(int))


def test_a_palette_of_its_own_counts_by_its_entries(tmp_path):
    image = Image.fromarray(_numbers(CAT, DOG).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 250, 240, 10, 20, 30, 240])
    image.save(tmp_path / "a.png")

    regions = mask_images.read_regions(tmp_path / "a.png", numbered=True)

    np.testing.assert_array_equal(regions.values[regions.labels], _numbers(CAT, DOG))


def test_a_file_that_is_no_image_says_so(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")

    with pytest.raises(AnnotationError, match="not an image of a known format"):
        mask_images.read_regions(tmp_path / "a.png", numbered=True)
    with pytest.raises(AnnotationError, match="there is no such mask file"):
        mask_images.read_regions(tmp_path / "b.png", numbered=True)


def _by_number(tmp_path, pixels, masks, places=None):
    regions = mask_images.read_regions(palette_png(tmp_path / "a.png", pixels), numbered=True)
    places = places or tuple(range(1, len(masks) + 1))
    return regions, mask_images.match_by_number(regions, _boxes(*masks), places)


def test_numbers_are_places_and_void_is_nobodys(tmp_path):
    pixels = _numbers(CAT, DOG)
    pixels[disc(35, 55, 17) & ~DOG] = 255  # VOC's border

    _, match = _by_number(tmp_path, pixels, (CAT, DOG))

    _same(match, CAT, DOG)
    assert match.moved == match.left == ()


def test_numbers_in_another_order_are_matched_by_their_boxes(tmp_path):
    _, match = _by_number(tmp_path, _numbers(DOG, CAT), (CAT, DOG))

    _same(match, CAT, DOG)
    assert sorted(match.moved) == [0, 1]


def test_an_object_without_pixels_does_not_shift_the_others(tmp_path):
    pixels = np.where(DOG, 2, 0)

    _, match = _by_number(tmp_path, pixels, (CAT, DOG))

    assert set(match.masks) == {1}
    np.testing.assert_array_equal(match.masks[1], DOG)
    assert match.moved == ()


def test_numbers_counted_without_the_faulty_objects_are_matched_by_boxes(tmp_path):
    # The xml has three objects, the second without a box; the image's numbers skip it.
    _, match = _by_number(tmp_path, _numbers(CAT, DOG), (CAT, DOG), places=(1, 3))

    _same(match, CAT, DOG)
    assert match.moved == (1,)


def test_an_instance_that_is_no_object_is_left_over(tmp_path):
    regions, match = _by_number(tmp_path, _numbers(CAT, DOG, COW), (CAT, DOG))

    assert [regions.name(value) for value in match.left] == ["3"]


def test_two_objects_in_almost_one_box_keep_their_order(tmp_path):
    rider, horse = disc(25, 40, 14), disc(32, 40, 15)
    both = _numbers(horse, rider)

    _, match = _by_number(tmp_path, both, (horse, rider))

    _same(match, horse & ~rider, rider)


def test_a_color_an_object(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT, DOG), [(0, 0, 0), RED, BLUE])

    for order in ((CAT, DOG), (DOG, CAT)):
        _same(_by_color(path, order, ["cup", "cup"]), *order)


def test_a_color_a_class_with_several_objects_of_it(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT | COW, DOG), [(0, 0, 0), RED, BLUE])

    match = _by_color(path, (COW, DOG, CAT), ["cup", "speaker", "cup"])

    _same(match, COW, DOG, CAT)
    assert match.parted == match.left == ()


def test_two_classes_with_several_objects_each(tmp_path):
    other = disc(10, 60, 7)
    path = color_png(tmp_path / "a.png", _numbers(CAT | COW, DOG | other), [(0, 0, 0), RED, BLUE])

    match = _by_color(path, (CAT, DOG, COW, other), ["a", "b", "a", "b"])

    _same(match, CAT, DOG, COW, other)


def test_objects_of_a_class_that_touch_are_parted_by_their_boxes(tmp_path):
    left, right = disc(30, 20, 12), disc(30, 42, 12)  # they share two columns
    path = color_png(tmp_path / "a.png", _numbers(left | right), [(0, 0, 0), RED])

    match = _by_color(path, (left, right), ["cup", "cup"])

    assert match.parted == (0, 1)
    np.testing.assert_array_equal(match.masks[0] | match.masks[1], left | right)
    assert not (match.masks[0] & match.masks[1]).any()
    for number, mask in enumerate((left, right)):
        assert (match.masks[number] & mask).sum() / (match.masks[number] | mask).sum() > 0.95


def test_boxes_that_overlap_do_not_cut_pieces_that_lie_apart(tmp_path):
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    upper = (ys >= 5) & (xs >= 5) & (ys + xs < 45) & (xs < 40) & (ys < 40)
    lower = (ys < 40) & (xs < 40) & (ys + xs > 48)
    path = color_png(tmp_path / "a.png", _numbers(upper | lower), [(0, 0, 0), RED])

    _same(_by_color(path, (upper, lower), ["cup", "cup"]), upper, lower)


def test_a_small_object_in_the_box_of_a_large_one(tmp_path):
    ring, inner = disc(30, 40, 25) & ~disc(30, 40, 15), disc(30, 40, 8)
    path = color_png(tmp_path / "a.png", _numbers(ring | inner), [(0, 0, 0), RED])

    _same(_by_color(path, (inner, ring), ["cup", "cup"]), inner, ring)


def test_pixels_a_little_outside_a_careless_box_stay(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT, DOG), [(0, 0, 0), RED, BLUE])
    regions = mask_images.read_regions(path, numbered=False)
    boxes = _boxes(CAT, DOG) + [3, 3, -3, -3]

    _same(mask_images.match_by_color(regions, boxes, ["a", "b"]), CAT, DOG)


def test_another_ground_than_black(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT, DOG), [(255, 255, 255), RED, (0, 0, 0)])

    match = _by_color(path, (CAT, DOG), ["a", "b"])

    _same(match, CAT, DOG)
    assert match.left == ()


def test_an_object_that_fills_the_image(tmp_path):
    everything = np.ones((HEIGHT, WIDTH), bool)
    path = color_png(tmp_path / "a.png", _numbers(everything, CAT), [(0, 0, 0), RED, BLUE])

    _same(_by_color(path, (everything, CAT), ["a", "b"]), everything & ~CAT, CAT)


def test_what_fits_nothing_is_left_and_an_object_without_color_has_no_mask(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT, COW), [(0, 0, 0), RED, GREEN])
    regions = mask_images.read_regions(path, numbered=False)

    match = mask_images.match_by_color(regions, _boxes(CAT, DOG), ["a", "b"])

    assert set(match.masks) == {0}
    assert [regions.name(value) for value in match.left] == ["#00ff00"]


def test_an_object_without_a_box_gets_none(tmp_path):
    path = color_png(tmp_path / "a.png", _numbers(CAT), [(0, 0, 0), RED])
    regions = mask_images.read_regions(path, numbered=False)
    boxes = np.concatenate([_boxes(CAT), np.full((1, 4), np.nan)])

    assert set(mask_images.match_by_color(regions, boxes, ["a", "a"]).masks) == {0}


def test_transparent_pixels_are_ground(tmp_path):
    pixels = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    pixels[..., 3] = np.where(CAT, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")

    _same(_by_color(tmp_path / "a.png", (CAT,), ["a"]), CAT)


def test_soft_edges_count_to_the_color_next_to_theirs(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[CAT], pixels[DOG] = RED, BLUE
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90)

    match = _by_color(tmp_path / "a.jpg", (CAT, DOG), ["a", "b"])

    for number, mask in enumerate((CAT, DOG)):
        assert (match.masks[number] & mask).sum() / (match.masks[number] | mask).sum() > 0.85


def test_pixels_of_a_classs_color_far_from_its_boxes_are_reported(tmp_path):
    other = disc(10, 60, 7)  # nobody drew a box around it
    path = color_png(tmp_path / "a.png", _numbers(CAT | COW | other), [(0, 0, 0), RED])

    match = _by_color(path, (CAT, COW), ["cup", "cup"])

    _same(match, CAT, COW)
    assert match.stray == (1,)


def test_an_object_within_anothers_piece_gets_its_part(tmp_path):
    large, small = disc(30, 40, 22), disc(30, 60, 8)  # one piece, mostly the large one
    path = color_png(tmp_path / "a.png", _numbers(large | small), [(0, 0, 0), RED])

    match = _by_color(path, (large, small), ["cup", "cup"])

    assert match.parted == (0, 1)
    np.testing.assert_array_equal(match.masks[0] | match.masks[1], large | small)
    assert (match.masks[1] & small).sum() > 0.6 * small.sum()


def _framed(ground, thickness=2):
    """Place 0 of the colors as ground, CAT and COW as 1, a frame of the place `ground`."""
    pixels = np.zeros((HEIGHT, WIDTH), np.int64)
    pixels[CAT | COW] = 1
    frame = np.ones((HEIGHT, WIDTH), bool)
    frame[thickness:-thickness, thickness:-thickness] = False
    pixels[frame] = ground
    return pixels, (CAT & ~frame, COW & ~frame)


BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@pytest.mark.parametrize("thickness", [1, 3])
@pytest.mark.parametrize(
    ("colors", "frame"),
    [((BLACK, WHITE), 1), ((WHITE, RED, BLACK), 2), ((BLACK, RED, WHITE), 2), ((WHITE, BLACK), 1)],
)
def test_a_frame_is_neither_ground_nor_object(tmp_path, colors, frame, thickness):
    pixels, objects = _framed(frame, thickness)
    color_png(tmp_path / "a.png", pixels, colors)

    match = _by_color(tmp_path / "a.png", objects, ["cat", "cat"])

    _same(match, *objects)


def test_what_fills_the_image_up_to_a_margin_is_an_object(tmp_path):
    large = np.zeros((HEIGHT, WIDTH), bool)
    large[2:-2, 2:-2] = True
    color_png(tmp_path / "a.png", _numbers(large), [WHITE, BLACK])

    _same(_by_color(tmp_path / "a.png", [large], ["cat"]), large)
