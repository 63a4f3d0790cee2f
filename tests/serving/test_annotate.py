"""POST /annotate: the result of a function that a command gives the server."""

from asking import ask, error, post
from made_models import file_of, picture


def test_it_is_given_the_pixels(start, models):
    def annotate(pixels):
        if pixels.shape[1] < 40:
            raise ValueError("mode.window.width is 40, larger than the image")
        return {"size": list(pixels.shape)}

    with start({"pixels": models["pixels"]}, annotate=annotate) as server:
        assert post(server, "/annotate", file_of(picture())) == (200, {"size": [20, 40, 3]})
        status, message = error(server, "/annotate", file_of(picture()[:, :30]))
        assert status == 400 and "larger than the image" in message
        assert error(server, "/annotate", b"no image")[0] == 400


def test_without_one_there_is_no_such_address(server):
    assert ask(server, "POST", "/annotate", file_of(picture()))[0] == 404
