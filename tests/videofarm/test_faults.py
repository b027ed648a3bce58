from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.videofarm import samples
from transfermon.videofarm.bodies import (
    Content,
    UnsatisfiableError,
    content_disposition,
    content_of_bytes,
    content_of_file,
    plan_answer,
    requested_range,
)
from transfermon.videofarm.catalogue import Catalogue, FarmError, iso_time, parse_time
from transfermon.videofarm.faults import FaultError, FaultPlan, Faults, parse_rule, parse_size

NOW = 2_000_000_000.0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1048576),
        ("500k", 500_000),
        ("2M", 2_000_000),
        ("2MB", 2_000_000),
        ("1Mi", 1048576),
    ],
)
def test_sizes_are_written_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5M", "2T", "٣", "1 M"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(FaultError):
        parse_size(text)


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ("rate=500k", Faults(rate=500_000)),
        ("latency=0.25", Faults(latency=0.25)),
        ("cut=10", Faults(cut=10)),
        ("reset=10,rate=1M", Faults(reset=10, rate=1_000_000)),
        ("stall=0", Faults(stall=0)),
        ("short=3", Faults(short=3)),
        ("no-range, no-length", Faults(no_range=True, no_length=True)),
        ("gzip", Faults(gzip=True)),
        ("etag=weak,modified=none", Faults(etag="weak", modified="none")),
        ("status=503x2,retry-after=1", Faults(status=503, retry_after=1)),
        ("/videos/3/movie:cut=1k", Faults(cut=1000)),
        ("/videos:cut=1k", Faults(cut=1000)),
        ("/:cut=1k", Faults(cut=1000)),
        ("/videos/3/movie/x:cut=1k", Faults()),
        ("/videos/3/mov:cut=1k", Faults()),
    ],
)
def test_a_spec_says_what_goes_wrong_with_the_movie(spec, faults):
    assert FaultPlan([parse_rule(spec)]).choose("/videos/3/movie") == faults


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "there is no fault ''"),
        ("slow", "there is no fault 'slow'"),
        ("rate", "rate needs a value"),
        ("rate=0", "never end"),
        ("rate=fast", "'fast' is not a size"),
        ("latency=-1", "not a number of seconds"),
        ("latency=nan", "not a number of seconds"),
        ("gzip=yes", "gzip takes no value"),
        ("etag=strong", "not one of change, weak, none"),
        ("status=200", "not a status from 400 to 599"),
        ("status=503x0", "not a status"),
        ("retry-after=3", "needs a status"),
        ("videos:cut=1", "must begin with /"),
        ("/videos", "a colon and a fault"),
        ("rate=1M,", "there is no fault ''"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_spec_and_the_reason(spec, reason):
    with pytest.raises(FaultError) as caught:
        parse_rule(spec)
    assert f"'{spec}'" in str(caught.value)
    assert reason in str(caught.value)


@given(st.text())
def test_any_text_is_a_rule_or_a_fault_error(text):
    with contextlib.suppress(FaultError):
        assert parse_rule(text).faults


def test_a_counted_fault_strikes_so_often_on_each_path_and_then_no_more():
    plan = FaultPlan([parse_rule("/videos:cut=5x2")])
    assert [plan.choose("/videos/1").cut for _ in range(3)] == [5, 5, None]
    assert [plan.choose("/videos/2").cut for _ in range(3)] == [5, 5, None]


def test_while_a_status_strikes_the_other_counted_faults_wait():
    plan = FaultPlan([parse_rule("status=503x1"), parse_rule("cut=5x1")])
    chosen = [plan.choose("/x") for _ in range(3)]
    assert [(faults.status, faults.cut) for faults in chosen] == [
        (503, None),
        (None, 5),
        (None, None),
    ]


def test_of_two_faults_with_one_name_the_later_wins_and_those_of_the_request_come_last():
    plan = FaultPlan([parse_rule("rate=1M,latency=1"), parse_rule("/x:rate=2M")])
    assert plan.choose("/x") == Faults(rate=2_000_000, latency=1)
    assert plan.choose("/x", [parse_rule("rate=3M")]) == Faults(rate=3_000_000, latency=1)
    assert plan.choose("/y") == Faults(rate=1_000_000, latency=1)


def test_a_changing_tag_counts_the_answers_of_its_path():
    plan = FaultPlan([parse_rule("etag=change")])
    assert [plan.choose("/x").version for _ in range(3)] == [0, 1, 2]
    assert plan.choose("/y").version == 0


# Ranges and validators


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 10)),
        ("bytes=4-6", (4, 7)),
        ("BYTES=4-6", (4, 7)),
        ("bytes=4-999999999999999999999999", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=6-4", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
        ("bytes 1-2", None),
    ],
)
def test_a_single_range_is_understood_and_all_else_ignored(header, found):
    assert requested_range(header, 10) == found


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"]
)
def test_a_range_after_the_end_is_unsatisfiable(header):
    with pytest.raises(UnsatisfiableError):
        requested_range(header, 10)


@given(st.integers(0, 60), st.integers(0, 70), st.integers(0, 70))
def test_a_range_is_the_slice_of_the_same_bytes(size, first, last):
    body = bytes(range(size))
    try:
        found = requested_range(f"bytes={first}-{last}", size)
    except UnsatisfiableError:
        assert first >= size
        return
    if found is None:
        assert last < first
    else:
        assert body[found[0] : found[1]] == body[first : last + 1]


def ten_bytes() -> Content:
    return Content(
        size=10, media_type="text/plain", etag="ten", modified=1_000_000_000.4, read=lambda at, size: b"0123456789"[at : at + size]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "faults", "status"),
    [
        ({"if-range": '"ten"'}, Faults(), 206),
        ({"if-range": '"other"'}, Faults(), 200),
        ({"if-range": 'W/"ten"'}, Faults(), 200),
        ({"if-range": 'W/"ten"'}, Faults(etag="weak"), 200),
        ({"if-range": '"ten"'}, Faults(etag="none"), 200),
        ({"if-range": '"ten"'}, Faults(etag="change"), 206),
        ({"if-range": '"ten"'}, Faults(etag="change", version=1), 200),
        ({"if-range": "Sun, 09 Sep 2001 01:46:40 GMT"}, Faults(), 206),
        ({"if-range": "Sun, 09 Sep 2001 01:46:41 GMT"}, Faults(), 200),
        ({"if-range": "Sun, 09 Sep 2001 01:46:40 GMT"}, Faults(modified="none"), 200),
        ({"if-range": "yesterday"}, Faults(), 200),
        ({}, Faults(no_range=True), 200),
        ({}, Faults(gzip=True), 200),
        ({}, Faults(etag="change", version=3), 206),
        ({"if-none-match": '"ten"'}, Faults(), 304),
    ],
)
def test_a_range_is_served_only_if_its_condition_holds(headers, faults, status):
    answer = plan_answer("GET", {"range": "bytes=4-6", **headers}, ten_bytes(), faults, NOW)
    assert answer.status == status


def test_a_date_of_this_very_second_is_no_strong_validator():
    headers = {"range": "bytes=4-", "if-range": "Sun, 09 Sep 2001 01:46:40 GMT"}
    assert plan_answer("GET", headers, ten_bytes(), Faults(), 1_000_000_000.6).status == 200


def test_a_head_request_ignores_the_range():
    answer = plan_answer("HEAD", {"range": "bytes=4-"}, ten_bytes(), Faults(), NOW)
    assert (answer.status, answer.headers["content-length"]) == (200, "10")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hay.avi", 'inline; filename="hay.avi"'),
        ("Fjärd.avi", "inline; filename=\"Fj_rd.avi\"; filename*=UTF-8''Fj%C3%A4rd.avi"),
        (
            'a"b\\c\r\nX: y',
            "inline; filename=\"a_b_c__X: y\"; filename*=UTF-8''a%22b%5Cc%0D%0AX%3A%20y",
        ),
    ],
)
def test_a_file_name_cannot_leave_its_header(name, value):
    assert content_disposition(name, attachment=False) == value


# Content


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    content = content_of_file(tmp_path / "plain", "text/plain", filename="x", attachment=False)
    assert content.read(0, 10) == b"x"
    content.close()
    for name in ("link", "folder", "pipe", "missing", "nul\0"):
        with pytest.raises(FileNotFoundError):
            content_of_file(tmp_path / name, "text/plain", filename="x", attachment=False)


def test_bytes_have_a_tag_that_follows_their_content():
    assert content_of_bytes(b"a", "text/plain").etag == content_of_bytes(b"a", "text/plain").etag
    assert content_of_bytes(b"a", "text/plain").etag != content_of_bytes(b"b", "text/plain").etag


@given(st.integers(0, 5 << 20), st.integers(0, 3 << 20))
def test_the_endless_bytes_are_the_same_wherever_one_begins_to_read(offset, size):
    whole = b"".join(samples.expected_bytes(offset + size, start=offset // 2))
    assert samples.pattern(offset, size) == whole[offset - offset // 2 :]


def test_the_blocks_of_the_endless_bytes_differ():
    assert len({samples.pattern(number << 20, 64) for number in range(2000)}) == 2000


# Films


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        assert at + 8 + size <= len(data)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)


def test_a_film_is_a_whole_avi_file_whose_index_points_at_its_pictures(tmp_path):
    video = samples.SampleVideo(
        title="t", description="", scenes=("farm-dusk", "moon-sea"), size=5_000_000, movie="t.avi"
    )
    data = samples.write_movie(tmp_path, video).read_bytes()
    ((riff, film),) = chunks_of(data)
    assert (riff, film[:4]) == (b"RIFF", b"AVI ")
    (_, headers), (_, movi), (idx1, index) = chunks_of(film[4:])
    assert (headers[:4], movi[:4], idx1) == (b"hdrl", b"movi", b"idx1")
    (avih, main), (_, stream) = chunks_of(headers[4:])
    fields = struct.unpack("<14I", main)
    assert (avih, fields[0], fields[4], fields[8:10]) == (
        b"avih",
        40_000,
        video.frames,
        (1200, 800),
    )
    assert [kind for kind, _ in chunks_of(stream[4:])] == [b"strh", b"strf"]
    frames = [frame for kind, frame in chunks_of(movi[4:]) if kind == b"00dc"]
    assert len(frames) == video.frames == len(index) // 16
    assert set(frames) == {photo.data for photo in samples.PHOTOS if photo.name in video.scenes}
    for number, (kind, flags, at, size) in enumerate(struct.iter_unpack("<4sIII", index)):
        assert (kind, flags) == (b"00dc", 0x10)
        assert movi[at + 8 : at + 8 + size] == frames[number]
    assert abs(len(data) - video.size) < 60_000
    assert list(tmp_path.iterdir()) == [tmp_path / "t.avi"]


def test_a_film_is_the_same_wherever_it_is_made(tmp_path):
    (tmp_path / "other").mkdir()
    video = samples.FIRST_VIDEOS[1]
    one, other = (
        samples.write_movie(tmp_path, video),
        samples.write_movie(tmp_path / "other", video),
    )
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_mtime_ns == other.stat().st_mtime_ns


def test_the_samples_have_names_of_their_own_and_reasonable_sizes():
    videos = [*samples.FIRST_VIDEOS, *samples.MORE_VIDEOS]
    assert (
        len({video.movie for video in videos})
        == len({video.title for video in videos})
        == len(videos)
    )
    assert all(6_000_000 <= video.size <= 60_000_000 for video in videos)
    assert sum(len(photo.data) for photo in samples.PHOTOS) < 250_000
    assert {samples.picture_size(photo.data) for photo in samples.PHOTOS} == {(1200, 800)}
    assert {scene for video in videos for scene in video.scenes} == {
        photo.name for photo in samples.PHOTOS
    }


def test_there_is_always_one_more_video_and_it_costs_no_more_films():
    titles = [samples.sample_video(number).title for number in range(1, 41)]
    assert len(set(titles)) == 40
    assert len({samples.sample_video(number).movie for number in range(1, 41)}) == 14


# The catalogue


def test_what_was_published_is_there_after_a_restart(tmp_path):
    catalogue = Catalogue(tmp_path / "farm")
    video = catalogue.publish(1)
    assert video.created > catalogue.videos()[-2].created
    assert Catalogue(tmp_path / "farm").videos() == catalogue.videos()
    assert len(catalogue.videos()) == 9


def test_a_new_farm_is_made_for_its_owner_alone(tmp_path):
    Catalogue(tmp_path / "farm")
    assert {
        path.stat().st_mode & 0o777 for path in (tmp_path / "farm").iterdir() if path.is_dir()
    } == {0o700}


def test_a_video_without_a_movie_has_none_to_read(tmp_path):
    Catalogue(tmp_path)
    rows = json.loads((tmp_path / "videos.json").read_text())
    (tmp_path / "videos.json").write_text(json.dumps([{**rows[0], "movie": None}]))
    catalogue = Catalogue(tmp_path)
    with pytest.raises(FileNotFoundError):
        catalogue.movie(catalogue.videos()[0])


def test_a_movie_that_was_replaced_after_the_look_up_is_read_as_it_is_now(tmp_path):
    catalogue = Catalogue(tmp_path / "farm")
    video = catalogue.videos()[0]
    for movie in (b"first", b"second"):
        (whole := tmp_path / "whole").write_bytes(movie)
        catalogue.put_movie(str(video.id), whole, "video/mp4")
        content = catalogue.movie(video)  # looked up before: its file is gone by now
        assert content.read(0, 100) == movie
        content.close()
        video = catalogue.videos()[0]


@pytest.mark.parametrize("text", ["{", "[1]", "[{}]", "3"])
def test_records_that_cannot_be_read_are_said_so_and_kept(tmp_path, text):
    (tmp_path / "videos.json").write_text(text)
    with pytest.raises(FarmError):
        Catalogue(tmp_path)
    assert (tmp_path / "videos.json").read_text() == text


def test_a_farm_cannot_be_in_a_file():
    with pytest.raises(FarmError, match="cannot be used"):
        Catalogue(Path(__file__))


@pytest.mark.parametrize("milliseconds", [0, 1_714_543_200_000, 1_732_180_000_123])
def test_a_time_survives_being_written_and_read(milliseconds):
    text = iso_time(milliseconds)
    assert text.endswith("Z")
    assert parse_time(text) == milliseconds
    assert parse_time(text.replace("Z", "+00:00")) == milliseconds


def test_a_time_without_a_zone_is_none():
    with pytest.raises(ValueError):
        parse_time("2024-05-01T06:00:00")
