"""What a sound is compared with is one long record of held-out ones, whole, without silence put around them."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("soundfile", reason="jepakit[audio] not installed")

from sound_files import RATE, encoded, tone

from jepakit.data import open_sounds
from jepakit.recipes import AudioData
from jepakit.recipes.anomalies import end_to_end

LENGTH = 1600


def test_sounds_follow_one_another_whole_and_of_long_ones_the_middle(tmp_path: Path) -> None:
    sounds = [tone(100.0 * (i + 1), num) for i, num in enumerate((150, 300, 1600, 5000))]
    for i, sound in enumerate(sounds):
        (tmp_path / f"{i}.wav").write_bytes(encoded(sound, subtype="FLOAT"))
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    data = AudioData(train=str(tmp_path), rate=RATE, length=LENGTH, num_health=5)
    found = end_to_end(open_sounds(tmp_path, RATE, LENGTH), data)
    wanted = np.concatenate((*sounds[:3], sounds[3][1700:3300]))
    torch.testing.assert_close(found.values, torch.from_numpy(wanted)[None])
    assert (len(found.stamps), found.step_s) == (len(wanted), 1 / RATE)
