"""Sounds come as mono floats at one rate, whatever file they lie in; what cannot be read is named with a reason."""

import builtins
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

pytest.importorskip("soundfile", reason="jepakit[audio] not installed")

from sound_files import RATE, encoded, tone, write_folder, write_table

from jepakit.data import AudioFolder, NoLabels, ParquetAudio, SignalDecoder, Subset, Unreadable, open_sounds, read_all
from jepakit.data.audio import resampled, survey
from jepakit.types import UserError


def folder_of(root: Path, files: dict[str, bytes], length: int = 800) -> AudioFolder:
    for name, data in files.items():
        (root / name).write_bytes(data)
    return AudioFolder(root, RATE, length)


@pytest.mark.parametrize(("kind", "error"), [("WAV", 1e-4), ("FLAC", 1e-4), ("OGG", 0.05), ("MP3", 0.05)])
def test_each_kind_of_file_gives_the_sound_that_was_written(tmp_path: Path, kind: str, error: float) -> None:
    source = AudioFolder(write_folder(tmp_path, per_class=1, classes=2, kind=kind), RATE, 800)
    sound = source.read(1)
    assert (len(source), source.channels, sound.shape, sound.dtype) == (2, 1, (1, 800), torch.float32)
    middle = slice(100, 700)  # lossy kinds ring at the ends
    assert float((sound[0, middle] - torch.from_numpy(tone(600.0))[middle]).square().mean().sqrt()) < error


def test_a_folder_for_each_class_gives_labels_and_no_folder_none(tmp_path: Path) -> None:
    write_folder(tmp_path)
    source = open_sounds(tmp_path, RATE, 800, labels=True)
    assert source.class_names == ("0", "1", "2")
    assert torch.bincount(source.labels).tolist() == [8, 8, 8]
    assert source.name(9) == "1/01.wav"
    with pytest.raises(NoLabels, match="every sound in a class folder"):
        open_sounds(tmp_path / "1", RATE, 800, labels=True)


def test_channels_are_mixed(tmp_path: Path) -> None:
    both = np.stack((tone(400.0), tone(900.0)), axis=1)
    sound = folder_of(tmp_path, {"a.wav": encoded(both)}).read(0)
    torch.testing.assert_close(sound[0], torch.from_numpy(both.mean(axis=1)), atol=1e-4, rtol=0)


def test_another_rate_is_resampled_to_the_same_tone(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path, {"a.wav": encoded(tone(440.0, 44100, 44100), 44100), "b.wav": encoded(tone(440.0, 8000))}, 4000
    )
    sounds, ids, skipped = read_all(SignalDecoder(source, 4000), 0)
    assert (ids.tolist(), skipped) == ([0, 1], [])
    spectrum = torch.fft.rfft(sounds[:, 0]).abs()
    assert spectrum.argmax(dim=1).tolist() == [220, 220]  # bins of 2 Hz
    torch.testing.assert_close(*spectrum.amax(dim=1), rtol=0.01, atol=0)
    high = resampled(tone(6000.0, 16000, 16000).astype(np.float64), 16000, 8000)
    assert np.abs(high[200:-200]).max() < 0.01, "what the lower rate cannot hold is not folded back"


def test_the_middle_of_a_long_sound_is_decoded_and_a_short_one_lies_in_silence(tmp_path: Path) -> None:
    ramp = np.linspace(-0.9, 0.9, 20001).astype(np.float32)
    files = {"long.wav": encoded(ramp, subtype="FLOAT"), "short.wav": encoded(tone(num=100))}
    source = folder_of(tmp_path, files, 801)
    assert source.read(0).shape[1] < 1000, "an hour would not be decoded for a second of it"
    decoder = SignalDecoder(source, 801)
    torch.testing.assert_close(decoder.decode(0)[0], torch.from_numpy(ramp[9600:10401]))
    assert int(decoder.decode(1).isfinite().sum()) == 100


def test_what_cannot_be_read_is_skipped_with_a_reason(tmp_path: Path) -> None:
    flac = encoded(tone(num=8000), kind="FLAC")
    broken = {
        "cut.flac": flac[: len(flac) // 2],
        "empty.wav": b"",
        "frames.wav": encoded(np.zeros(0, np.float32)),
        "nan.wav": encoded(np.full(800, np.nan, np.float32), subtype="FLOAT"),
        "rate.wav": encoded(tone(), 10),
        "text.ogg": b"no sound at all",
    }
    source = folder_of(tmp_path, broken | {"good.wav": encoded(tone())})
    sounds, _, skipped = read_all(SignalDecoder(source, 800), 0)
    assert len(sounds) == 1
    reasons = {skip.name: skip.reason for skip in skipped}
    assert set(reasons) == set(broken)
    assert reasons["frames.wav"] == "it is empty"
    assert reasons["nan.wav"] == "it holds no finite sample"
    assert reasons["rate.wav"] == "its header tells a sampling rate of 10 Hz"
    for name in ("cut.flac", "empty.wav", "text.ogg"):
        assert reasons[name].startswith("cannot be decoded: "), name


def test_a_file_that_goes_away_is_unreadable(tmp_path: Path) -> None:
    source = folder_of(tmp_path, {"a.wav": encoded(tone())})
    (tmp_path / "a.wav").unlink()
    with pytest.raises(Unreadable, match=r"a\.wav: the file cannot be read: No such file"):
        source.read(0)


def test_float_samples_of_any_size_are_brought_within_1_and_gaps_in_them_to_silence(tmp_path: Path) -> None:
    loud = tone(loud=20000.0)
    loud[:10] = np.inf
    sound = folder_of(tmp_path, {"a.wav": encoded(loud, subtype="FLOAT")}).read(0)
    assert float(sound.abs().max()) == pytest.approx(1.0)
    assert bool((sound[0, :10] == 0).all())


def test_silence_and_clipping_are_kept_and_said_with_other_rates_in_one_sentence(tmp_path: Path) -> None:
    files = {
        "clipped.wav": encoded(np.clip(tone(loud=3.0), -1, 1)),
        "silent.wav": encoded(np.zeros(800, np.float32)),
        "good.wav": encoded(tone()),
        "loud.wav": encoded(tone(loud=0.99)),
        "slow.wav": encoded(tone(rate=16000, num=1600), 16000),
    }
    source = folder_of(tmp_path, files)
    sentence = "Of 5 sounds looked at, there are 1 at 16,000 Hz (resampled to 8,000 Hz) and 1 silent and 1 clipped; all are kept."
    assert survey(source) == sentence
    assert len(read_all(SignalDecoder(source, 800), 0)[0]) == 5
    (tmp_path / "tones").mkdir()
    assert survey(folder_of(tmp_path / "tones", {"a.wav": encoded(tone())})) == ""


def test_a_table_gives_sounds_labels_and_any_other_column(tmp_path: Path) -> None:
    path = write_table(tmp_path / "sounds.parquet", num=12)
    source = open_sounds(path, RATE, 800, labels=True)
    assert isinstance(source, ParquetAudio)
    assert (len(source), source.class_names, source.labels[:4].tolist()) == (12, ("0", "1", "2"), [0, 1, 2, 0])
    assert source.values("speaker")[::3] == ["s0", "s1", "s2", "s3"]
    assert source.name(3) == "sounds.parquet row 3"
    torch.testing.assert_close(source.read(1)[0], torch.from_numpy(tone(600.0)), atol=1e-4, rtol=0)
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(again.read(1), source.read(1))
    with pytest.raises(UserError, match="no column 'speakr'.*did you mean 'speaker'"):
        source.values("speakr")


def test_a_row_without_bytes_is_unreadable(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sound": [encoded(tone()), None]}), tmp_path / "a.parquet")
    source = open_sounds(tmp_path / "a.parquet", RATE, 800)
    with pytest.raises(Unreadable, match="a.parquet row 1: the row holds no bytes"):
        source.read(1)


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; give the path of a folder of sounds"):
        open_sounds(tmp_path / "absent", RATE, 800)
    with pytest.raises(UserError, match=r"No sound in .*: looked for \.wav \.flac \.ogg \.mp3, found no file at all"):
        open_sounds(tmp_path, RATE, 800)
    (tmp_path / "a.wav").write_bytes(encoded(tone()))
    with pytest.raises(UserError, match="is a single file; give a folder of sounds or a .parquet file"):
        open_sounds(tmp_path / "a.wav", RATE, 800)
    with pytest.raises(UserError, match="is a folder of sounds without columns"):
        open_sounds(tmp_path, RATE, 800, column="audio")
    with pytest.raises(UserError, match="A sampling rate lies between 1000 and 400000 Hz, not at 8"):
        open_sounds(tmp_path, 8, 800)
    with pytest.raises(UserError, match="at least 1 sample"):
        open_sounds(tmp_path, RATE, 0)


def test_without_soundfile_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, per_class=1)
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "soundfile":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "soundfile", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"Reading sounds needs soundfile: pip install 'jepakit\[audio\]'\."):
        AudioFolder(tmp_path, RATE, 800)


def test_a_part_of_the_sounds_keeps_their_names_and_channels(tmp_path: Path) -> None:
    part = Subset(open_sounds(write_folder(tmp_path), RATE, 800, labels=True), [9, 3])
    assert (part.name(0), part.labels.tolist()) == ("1/01.wav", [1, 0])
    assert SignalDecoder(part, 800).void(2).shape == (2, 1, 800)
