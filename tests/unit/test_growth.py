"""The measure of how time grows tells a line from a square."""

from support.growth import grows_no_faster_than_its_size


def test_a_square_is_no_line() -> None:
    assert grows_no_faster_than_its_size(lambda size: sum(range(size)), 400_000)
    assert not grows_no_faster_than_its_size(lambda size: sum(range(size * size)), 2_000)
