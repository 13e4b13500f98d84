"""Batches: the same in memory and through workers, after a resume and over processes, broken files included."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from image_files import BROKEN, smooth
from PIL import Image

import jepakit.data.loader as loader_module
import jepakit.data.reading as reading
from jepakit.data import (
    Arrays,
    Digits,
    Folder,
    ImageDecoder,
    Loader,
    Order,
    Subset,
    Unreadable,
    open_source,
    read_all,
    to_uint8,
)
from jepakit.types import ImageBatch, UserError

STREAMED = {"memory_budget": 0}


def take(loader: Loader, num: int) -> list[tuple[int, ImageBatch]]:
    return list(islice(loader, num))


def assert_equal(a: list[tuple[int, ImageBatch]], b: list[tuple[int, ImageBatch]]) -> None:
    assert [step for step, _ in a] == [step for step, _ in b]
    for (_, x), (_, y) in zip(a, b, strict=True):
        assert torch.equal(x.id, y.id)
        assert torch.equal(x.image, y.image)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_both_paths_give_equal_batches_and_skip_the_same_files(mixed_folder: Path, num_workers: int) -> None:
    folder = Folder(mixed_folder)
    memory = Loader(ImageDecoder(folder, 3, 16), 10, seed=0, num_workers=num_workers)
    stream = Loader(ImageDecoder(folder, 3, 16), 10, seed=0, num_workers=num_workers, **STREAMED)
    assert memory.in_memory
    assert not stream.in_memory
    batches = take(memory, 8)
    assert_equal(batches, take(stream, 8))
    assert memory.skipped == stream.skipped
    assert {Path(skip.name).name for skip in memory.skipped} == set(BROKEN)
    assert all(skip.reason and folder.name(skip.id) == skip.name for skip in memory.skipped)
    assert {len(batch) for _, batch in batches} > {10}  # some are smaller, none is larger
    assert max(len(batch) for _, batch in batches) == 10


def test_a_batch_holds_the_readable_images_of_its_ids(mixed_folder: Path) -> None:
    folder = Folder(mixed_folder)
    loader = Loader(ImageDecoder(folder, 3, 16), 10, seed=0, num_workers=0)
    broken = None
    for step, batch in take(loader, 4):
        broken = broken or {skip.id for skip in loader.skipped}
        wanted = Order(num_samples=36, batch_size=10, seed=0).batch(step)
        assert batch.id.tolist() == [i for i in wanted.tolist() if i not in broken]
        for i, image in zip(batch.id.tolist(), batch.image, strict=True):
            assert torch.equal(image, to_uint8(folder.read(i), 3, 16))


@pytest.mark.parametrize("options", [{}, STREAMED], ids=["memory", "streamed"])
def test_a_resumed_loader_goes_on_where_the_other_was(mixed_folder: Path, options: dict[str, int]) -> None:
    folder = Folder(mixed_folder)
    whole = take(Loader(ImageDecoder(folder, 3, 8), 7, seed=1, num_workers=0, **options), 12)
    assert_equal(
        take(Loader(ImageDecoder(folder, 3, 8), 7, seed=1, num_workers=0, start_step=5, **options), 7), whole[5:]
    )


@pytest.mark.parametrize("options", [{}, STREAMED], ids=["memory", "streamed"])
def test_the_shares_of_two_processes_make_up_one_batch(
    monkeypatch, mixed_folder: Path, options: dict[str, int]
) -> None:
    folder = Folder(mixed_folder)
    loader = Loader(ImageDecoder(folder, 3, 8), 9, seed=0, num_workers=0, **options)
    whole = take(loader, 6)
    monkeypatch.setattr(loader_module, "world_size", lambda: 2)  # read at call time, so an older loader heeds it
    shares = []
    for rank in range(2):
        monkeypatch.setattr(loader_module, "rank", lambda rank=rank: rank)
        shares.append(take(loader, 6))
    for (_, first), (_, second), (_, batch) in zip(*shares, whole, strict=True):
        assert torch.equal(torch.cat((first.id, second.id)), batch.id)
        assert torch.equal(torch.cat((first.image, second.image)), batch.image)
        assert len(first) < len(batch)


def test_digits_pass_untouched_and_every_epoch_sees_each_once() -> None:
    digits = Digits()
    batches = take(Loader(ImageDecoder(digits, 1, 8), 599, seed=0, num_workers=0), 3)
    ids = torch.cat([batch.id for _, batch in batches])
    assert sorted(ids.tolist()) == list(range(1797))
    assert torch.equal(torch.cat([batch.image for _, batch in batches]), digits.images[ids])


def test_ids_count_within_a_subset() -> None:
    digits = Digits()
    _, batch = next(iter(Loader(ImageDecoder(Subset(digits, range(100, 110)), 1, 8), 10, seed=0, num_workers=0)))
    assert sorted(batch.id.tolist()) == list(range(10))
    assert torch.equal(batch.image, digits.images[batch.id + 100])


def test_neither_path_touches_the_global_generator(mixed_folder: Path) -> None:
    before = torch.get_rng_state()
    for options in ({}, STREAMED):
        take(Loader(ImageDecoder(Folder(mixed_folder), 3, 8), 10, seed=0, num_workers=1, **options), 2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [{}, STREAMED], ids=["memory", "streamed"])
def test_where_nothing_can_be_read_the_first_reason_is_named(tmp_path: Path, options: dict[str, int]) -> None:
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"None of the 4 samples .* '\d\.png': the file is empty[.;]"):
        take(Loader(ImageDecoder(Folder(tmp_path), 3, 8), 4, seed=0, num_workers=0, **options), 1)


def half_broken(root: Path, num: int = 12) -> Folder:
    """Write a folder of which every other file is broken."""
    for i in range(num):
        smooth(seed=i).save(root / f"{i:02}.png")
        if i % 2:
            (root / f"{i:02}.png").write_bytes(b"")
    return Folder(root)


@pytest.mark.parametrize("options", [{}, STREAMED], ids=["memory", "streamed"])
@pytest.mark.parametrize(("batch_size", "world"), [(2, 1), (2, 2), (5, 3)])
def test_a_share_of_which_nothing_can_be_read_is_that_of_the_next_step_that_has_something(
    monkeypatch, tmp_path: Path, batch_size: int, world: int, options: dict[str, int]
) -> None:
    folder, num_replaced = half_broken(tmp_path), 0
    order = Order(num_samples=len(folder), batch_size=batch_size, seed=0)
    monkeypatch.setattr(loader_module, "world_size", lambda: world)
    for rank in range(world):
        monkeypatch.setattr(loader_module, "rank", lambda rank=rank: rank)
        readable = [[i for i in order.share(s, rank, world).tolist() if i % 2 == 0] for s in range(60)]
        expected = [next(ids for ids in readable[step:] if ids) for step in range(20)]
        loader = Loader(ImageDecoder(folder, 3, 8), batch_size, seed=0, num_workers=0, **options)
        batches = take(loader, 20)
        assert [batch.id.tolist() for _, batch in batches] == expected
        assert all(torch.equal(x, to_uint8(folder.read(int(i)), 3, 8)) for _, b in batches for x, i in zip(b.image, b.id, strict=True))  # fmt: skip
        assert_equal(
            take(Loader(ImageDecoder(folder, 3, 8), batch_size, 0, num_workers=0, start_step=7, **options), 13),
            batches[7:],
        )
        num_replaced += sum(not ids for ids in readable[:20])
    assert num_replaced > 3


@pytest.mark.parametrize("options", [{}, STREAMED], ids=["memory", "streamed"])
def test_many_steps_of_which_nothing_can_be_read_are_an_error(tmp_path: Path, options: dict[str, int]) -> None:
    for i in range(200):
        (tmp_path / f"{i:03}.png").write_bytes(b"")
    smooth().save(tmp_path / "200.png")
    loader = Loader(ImageDecoder(Folder(tmp_path), 3, 8), 1, seed=0, num_workers=0, **options)
    sentence = r"None of the 32 samples of 32 steps in a row .*'\d+\.png': the file is empty; mend or remove such files"
    with pytest.raises(UserError, match=sentence):
        take(loader, 200)


def test_a_batch_larger_than_the_source_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="use --training.batch-size 1797 or less"):
        Loader(ImageDecoder(Digits(), 1, 8), 2000, seed=0)
    with pytest.raises(UserError, match="channels, not 2"):
        Loader(ImageDecoder(Digits(), 2, 8), 20, seed=0)


# Worker processes


class Probe:
    """A source that tells of the process that reads it, or harms it."""

    labels = None
    class_names = None

    def __init__(self, num: int = 40, deadly: bool = False, faulty: bool = False) -> None:
        self.num, self.deadly, self.faulty = num, deadly, faulty

    def __len__(self) -> int:
        return self.num

    def read(self, index: int) -> Image.Image | torch.Tensor:
        if self.faulty:
            raise RuntimeError("a fault of the source")
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        pid = os.getpid()
        value = [pid & 255, pid >> 8 & 255, pid >> 16 & 255]
        return torch.tensor(value, dtype=torch.uint8)[:, None, None].expand(3, 4, 4)

    def name(self, index: int) -> str:
        return str(index)


def worker_of(batch: ImageBatch) -> int:
    low, middle, high = batch.image[0, :, 0, 0].tolist()
    return low | middle << 8 | high << 16


def stream(**options: bool) -> Iterator[tuple[int, ImageBatch]]:
    return iter(Loader(ImageDecoder(Probe(**options), 3, 4), 4, seed=0, num_workers=2, **STREAMED))


def test_images_are_decoded_in_as_many_processes_as_asked() -> None:
    workers = {worker_of(batch) for _, batch in islice(stream(), 6)}
    assert len(workers) == 2
    assert os.getpid() not in workers


def test_workers_outlive_the_signals_that_ask_the_parent_to_stop() -> None:
    batches = stream()
    worker = worker_of(next(batches)[1])
    os.kill(worker, signal.SIGINT)
    os.kill(worker, signal.SIGTERM)
    assert [step for step, _ in islice(batches, 20)] == list(range(1, 21))


HELD = """
import torch
from jepakit.data import Arrays, ImageDecoder, Loader
batches = iter(Loader(ImageDecoder(Arrays(torch.zeros(9, 8, 8, dtype=torch.uint8)), 1, 8), 4, 0, num_workers=1, memory_budget=0))
next(batches)
held = [batches]
held.append(held)
"""
WAITED_FOR = """
import threading, time, torch
from jepakit.data import Arrays, ImageDecoder, Loader
class Slow(Arrays):
    def read(self, index):
        time.sleep(0.1)
        return super().read(index)
batches = iter(Loader(ImageDecoder(Slow(torch.zeros(9, 8, 8, dtype=torch.uint8)), 1, 8), 4, 0, num_workers=1, memory_budget=0))
next(batches)
threading.Thread(target=list, args=(batches,), daemon=True).start()
time.sleep(0.2)
"""


@pytest.mark.parametrize("script", [HELD, WAITED_FOR], ids=["held", "waited-for"])
def test_a_process_can_leave_while_its_workers_run(script: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, timeout=60, capture_output=True, text=True, check=True, env=environment)
    assert result.stderr == "" or script == WAITED_FOR


def test_a_worker_that_dies_is_told_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"decodes samples died \(DataLoader worker .*use fewer --num-workers, or 0\.$"):
        next(stream(deadly=True))


def test_a_fault_in_a_source_is_not_taken_for_a_dead_worker() -> None:
    with pytest.raises(RuntimeError, match="a fault of the source"):
        next(stream(faulty=True))


# A whole source at once


def test_read_all_gives_the_readable_images_in_order(mixed_folder: Path) -> None:
    folder, seen = Folder(mixed_folder), []
    images, ids, skipped = read_all(
        ImageDecoder(folder, 1, 12), num_workers=0, progress=lambda done, total: seen.append((done, total))
    )
    assert images.shape == (30, 1, 12, 12)
    assert len(skipped) == 6
    assert sorted([*ids.tolist(), *(skip.id for skip in skipped)]) == list(range(36))
    for i in (0, 13, 29):
        assert torch.equal(images[i], to_uint8(folder.read(int(ids[i])), 1, 12))
    assert seen[-1] == (36, 36)


def test_read_all_goes_on_in_workers_where_a_set_takes_long(monkeypatch) -> None:
    monkeypatch.setattr(reading, "_ALONE_S", 0.0)
    images, ids, skipped = read_all(ImageDecoder(Probe(num=200), 3, 4), num_workers=2)
    workers = {tuple(pixel) for pixel in images[:, :, 0, 0].tolist()}
    assert len(workers) == 3  # the first chunk is this process's own
    assert ids.tolist() == list(range(200))
    assert skipped == []


def test_read_all_squashes_on_request() -> None:
    image = smooth(16, 48)
    pixels = to_uint8(image, 3, 16, fit="squash")
    source = Arrays(torch.tensor([*image.tobytes()], dtype=torch.uint8).reshape(1, 16, 48, 3))
    assert torch.equal(read_all(ImageDecoder(source, 3, 16, "squash"), 0)[0][0], pixels)
    assert not torch.equal(read_all(ImageDecoder(source, 3, 16), 0)[0][0], pixels)


def test_cifar_is_the_same_decoded_at_once_and_as_it_comes(cifar_path: Path) -> None:
    source = Subset(open_source(cifar_path), range(0, 10_000, 20))
    memory = take(Loader(ImageDecoder(source, 3, 32), 128, seed=0, num_workers=2), 6)
    assert_equal(memory, take(Loader(ImageDecoder(source, 3, 32), 128, seed=0, num_workers=2, **STREAMED), 6))
    assert float(memory[0][1].image.float().std()) > 40


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Unreadable("a.png", "torn")))
    assert (error.name, error.reason, str(error)) == ("a.png", "torn", "a.png: torn")
