"""What a video file really is, and whether it is sound. Runs in a media child; only the dataclass is for everybody.

A job may say "completed" only after `measure` has passed: the file opens, every packet up to the end is there and has
the shape that its codec asks for, and the first picture and a part of the last group of pictures decode. A decoder
alone forgives too much: a file cut at 60 % opens and plays for a while, so what was demuxed is held against what the
file itself declares.
"""

import errno
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rushes.errors import MediaError, Truncated
from rushes.media.mp4 import Layout, read_layout
from rushes.media.sniff import ENOUGH_BYTES, Kind, Look, first_words, look
from rushes.video import Size

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,asf,ivf,mxf,nut,mjpeg,h264,hevc"
"""No playlists (hls, dash, concat): those are read by opening further addresses, which a stranger would choose."""

DECODE_PIXELS_PER_S = 2_500_000
"""How much of the last group of pictures is decoded, by the length of the video: about 6 ms of CPU per second."""
MIN_PICTURES = 3
DURATION_SLACK_S = 0.25  # encoders round, and pad the sound
SAME_RATE = 0.002  # the declared frame rate is believed if it is this near to the measured one


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Facts measured on the file, not read from its header."""

    format: str  # mp4, mov, webm, …
    size: Size  # as displayed: rotated, square pixels
    size_bytes: int
    seconds: float  # last minus first timestamp plus one frame
    fps: Fraction
    frames: int
    frames_declared: int  # 0: the container does not say
    video_codec: str
    audio_codec: str | None
    has_audio: bool
    faststart: bool  # can be played while it loads
    bit_rate: int  # of the whole file, bits per second
    embedded_c2pa: bool  # a provenance manifest lies inside


@dataclass(frozen=True, slots=True)
class _Packets:
    """What one pass over all packets found. Times are in units of the video stream's time base."""

    count: int
    first: int
    last: int
    first_key: int
    last_key: int
    last_duration: int
    seconds: float  # of the video stream, about
    end_s: float  # the latest end over all streams


def measure(path: Path, *, thorough: bool = False) -> Probe:
    """Probe and verify. Raises Truncated when the end is missing, else MediaError that says what the file is.

    `thorough` decodes every picture: right for a file that was put together from several answers.
    """
    try:
        with path.open("rb") as file:
            found = look(start := file.read(ENOUGH_BYTES))
            layout = read_layout(file) if found.mime in ("video/mp4", "video/quicktime") else None
    except OSError as error:
        raise MediaError(f"{path.name} cannot be read: {error.strerror}.") from error
    _refuse_what_is_no_video(path, found, start)
    if layout is not None:
        _refuse_cut_file(path, layout)
    with open_video(path) as (container, stream):
        audio = next(iter(container.streams.audio), None)
        packets = _read_all_packets(container, stream, path)
        _refuse_missing_end(path, packets, stream.frames, (container.duration or 0) / 1e6)
        picture = (_decode_all if thorough else _decode_ends)(container, stream, packets, path)
        fps, seconds = _timing(packets, stream)
        size_bytes = path.stat().st_size
        return Probe(
            format=_format_name(container.format.name, start),
            size=displayed_size(picture, stream),
            size_bytes=size_bytes,
            seconds=round(seconds, 6),
            fps=fps,
            frames=packets.count,
            frames_declared=stream.frames,
            video_codec=_codec_name(stream),
            audio_codec=(_codec_name(audio) or "unknown") if audio else None,
            has_audio=audio is not None,
            faststart=layout.faststart if layout else True,
            bit_rate=round(size_bytes * 8 / seconds) if seconds else 0,
            embedded_c2pa=layout.has_c2pa if layout else False,
        )


@contextmanager
def open_video(path: Path) -> "Generator[tuple[InputContainer, VideoStream]]":
    """The container and its first real video stream. Whatever PyAV raises inside leaves as MediaError."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(
            str(path),
            options={"skip_frame": "all"},  # FFmpeg decodes some pictures on opening; the index already says enough
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",  # a title in some old encoding makes no video bad
        ) as container:
            streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
            if not streams:
                kind = "only sound" if container.streams.audio else "no picture and no sound"
                raise MediaError(f"{path.name} holds {kind}, no video.")
            stream = streams[0]
            if not _codec_name(stream):
                raise MediaError(f"{path.name} is damaged, or in a video format that nobody here knows.")
            stream.thread_count = 1  # the pool is the parallelism, and each thread costs address space
            yield container, stream
    except MemoryError:
        raise
    except (FFmpegError, EOFError) as error:
        if getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN):  # EAGAIN: no room for one more thread
            raise MemoryError from error
        raise MediaError(f"{path.name} is not a readable video: {_words(error)}.") from error


def displayed_size(frame: "VideoFrame", stream: "VideoStream") -> Size:
    """The size on the screen: pixels made square, then turned."""
    ratio = stream.sample_aspect_ratio or Fraction(1)
    width = round(frame.width * ratio) if ratio > 0 else frame.width
    return Size(frame.height, width) if frame.rotation % 180 else Size(width, frame.height)


def _refuse_what_is_no_video(path: Path, found: Look, start: bytes) -> None:
    if found.kind is Kind.TEXT:
        raise MediaError(f"{path.name} is {found.words}, not a video. It begins: {first_words(start)}")
    if found.kind in (Kind.EMPTY, Kind.PICTURE, Kind.AUDIO):
        raise MediaError(f"{path.name} is {found.words}, not a video.")


def _refuse_cut_file(path: Path, layout: Layout) -> None:
    if missing := layout.missing_bytes:
        raise Truncated(f"{path.name} is cut off: it ends {missing} bytes too early, at {layout.size_bytes}.")
    if not layout.has_index:
        raise Truncated(f"{path.name} has no index (moov box): the file was not finished, or its end is missing.")


def _read_all_packets(container: "InputContainer", stream: "VideoStream", path: Path) -> _Packets:
    prefix = nal_prefix_bytes(_codec_name(stream), stream.codec_context.extradata or b"")
    count, last_duration = 0, 0
    first, last, keys, end_s = None, 0, list[int](), 0.0
    for packet in container.demux():
        if packet.size == 0 or packet.pts is None:
            continue
        if packet.is_corrupt:
            raise Truncated(f"{path.name} is damaged at byte {packet.pos}: a packet is not all there.")
        if packet.stream.index != stream.index:
            if packet.time_base:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            continue
        if prefix and not nal_units_fit(bytes(packet), prefix):
            raise MediaError(f"{path.name} is damaged at byte {packet.pos}: a picture's data is not what it should be.")
        count += 1
        if packet.is_keyframe:
            keys.append(packet.pts)
        first = packet.pts if first is None else min(first, packet.pts)
        if packet.pts >= last:
            last, last_duration = packet.pts, packet.duration or 0
    if first is None:
        raise MediaError(f"{path.name} has a video track without a single picture.")
    base = stream.time_base or Fraction(1, 1000)
    return _Packets(
        count=count,
        first=first,
        last=last,
        first_key=keys[0] if keys else first,
        last_key=keys[-1] if keys else first,
        last_duration=last_duration,
        seconds=float((last - first) * base),
        end_s=max(end_s, float((last + last_duration) * base)),
    )


def nal_prefix_bytes(codec: str, configuration: bytes) -> int:
    """How many bytes give the length of each unit inside a packet; 0 where packets have no such structure. Pure.

    Source: ISO/IEC 14496-15, AVCDecoderConfigurationRecord (byte 4) and HEVCDecoderConfigurationRecord (byte 21).
    """
    place = {"h264": 4, "hevc": 21}.get(codec)
    if place is None or len(configuration) <= place or configuration[0] != 1:
        return 0
    return (configuration[place] & 3) + 1


def nal_units_fit(data: bytes, prefix: int) -> bool:
    """Whether the units fill a packet exactly. Finds holes and foreign bytes almost for nothing."""
    position = 0
    while position + prefix < len(data):
        length = int.from_bytes(data[position : position + prefix], "big")
        if length == 0:
            return False
        position += prefix + length
    return position == len(data)


def _refuse_missing_end(path: Path, packets: _Packets, declared: int, declared_s: float) -> None:
    if packets.count < declared:
        raise Truncated(f"{path.name} is cut off: {packets.count} of {declared} pictures are there.")
    if packets.end_s < declared_s * 0.95 - DURATION_SLACK_S:
        raise Truncated(f"{path.name} is cut off: {packets.end_s:.1f} of {declared_s:.1f} seconds are there.")


def _decode_ends(container: "InputContainer", stream: "VideoStream", packets: _Packets, path: Path) -> "VideoFrame":
    """Decode the first picture, and from the last keyframe as far as the budget goes; returns the first picture."""
    budget = max(MIN_PICTURES, int(packets.seconds * DECODE_PIXELS_PER_S / max(1, stream.width * stream.height)))
    # Neither does the loop filter carry damage on, nor pictures that no other needs: together half of the work.
    stream.codec_context.options = {"skip_loop_filter": "all"}
    stream.codec_context.skip_frame = "NONREF"
    if packets.first_key == packets.last_key:
        return _decode_from(container, stream, packets.first_key, budget, path)
    first = _decode_from(container, stream, packets.first_key, 1, path)
    _decode_from(container, stream, packets.last_key, budget, path)
    return first


def _decode_all(container: "InputContainer", stream: "VideoStream", packets: _Packets, path: Path) -> "VideoFrame":
    return _decode_from(container, stream, packets.first_key, packets.count, path)


def _decode_from(
    container: "InputContainer", stream: "VideoStream", key: int, pictures: int, path: Path
) -> "VideoFrame":
    """Decode that many pictures from a keyframe on, or up to the end; returns the first of them."""
    second = int(1 / (stream.time_base or Fraction(1, 1000)))
    for place in (key, key - 2 * second):  # containers without an index (MPEG-TS) seek to about there, perhaps behind
        container.seek(place, stream=stream)
        first, decoded = None, 0
        for frame in _frames(container, stream, only_one=pictures == 1):
            if pictures > 1 and frame.pts is not None and frame.pts < key:
                continue  # leading pictures refer to the group before
            if frame.is_corrupt:
                raise MediaError(f"{path.name} is damaged: the picture at {frame.time:.2f} s does not decode cleanly.")
            first = first or frame
            decoded += 1
            if decoded >= pictures:
                break
        if first is not None:
            return first
    raise MediaError(f"{path.name} is damaged: nothing decodes from {key / second:.2f} s on.")


def _frames(container: "InputContainer", stream: "VideoStream", *, only_one: bool) -> "Generator[VideoFrame]":
    decode = cast("Callable[[Packet[Any] | None], list[VideoFrame]]", stream.codec_context.decode)  # pyright: ignore[reportUnknownMemberType]
    for packet in container.demux(stream):
        frames = decode(packet)
        if only_one and not frames:
            frames = decode(None)  # do not wait for the pictures that the decoder would put before it
        yield from frames
        if only_one and frames:
            return


def _timing(packets: _Packets, stream: "VideoStream") -> tuple[Fraction, float]:
    """Frame rate and length from the timestamps. A declared rate is exact where timestamps are rounded (WebM)."""
    base = stream.time_base or Fraction(1, 1000)
    declared = stream.average_rate or stream.guessed_rate
    span = (packets.last - packets.first) * base
    if packets.count < 2 or span <= 0:
        fps = declared or Fraction(1)
        return fps, float(packets.last_duration * base) or float(1 / fps)
    measured = (packets.count - 1) / span
    exact = declared is not None and abs(declared - measured) <= SAME_RATE * measured
    fps = declared if exact and declared else measured.limit_denominator(1001) or measured
    return fps, float(span + 1 / fps)


def _format_name(demuxer: str, start: bytes) -> str:
    if demuxer.startswith("mov,"):
        return "mov" if start[8:12] == b"qt  " else "mp4"
    if demuxer.startswith("matroska"):
        return "webm" if b"webm" in start[:64] else "mkv"
    return demuxer.partition(",")[0]


def _codec_name(stream: "VideoStream | AudioStream") -> str:
    """`av1`, not `libdav1d`; empty when there is no decoder for it, in which case PyAV has no context at all."""
    context = cast("CodecContext | None", stream.codec_context)
    return context.codec.canonical_name if context else ""


def _words(error: Exception) -> str:
    """FFmpeg's own words, without the errno and the path that PyAV adds."""
    return str(getattr(error, "strerror", None) or error)
