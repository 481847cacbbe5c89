"""Ranks under mpiexec train as one process does on the whole batch; one that dies ends the job, and nothing is lost."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minitransformer.training import load_checkpoint
from minitransformer.training.parallel import Drift, NoMPI, Ranks, distributed, world
from minitransformer.training.parallel.distributed import launched

SCRIPT = Path(__file__).with_name("ranks.py")
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
ENVIRONMENT = {
    **os.environ,
    "OPENBLAS_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",  # as in a container
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}

mpi = pytest.mark.skipif(
    (MPIEXEC is None or importlib.util.find_spec("mpi4py") is None)
    and os.environ.get("MINITRANSFORMER_REQUIRE_MPI") != "1",
    reason='no MPI: pip install "minitransformer[mpi]"',
)
pytestmark = pytest.mark.xdist_group("mpi")
if sys.platform == "emscripten":
    pytest.skip("WebAssembly has no processes", allow_module_level=True)


def command(n, *words):
    return [MPIEXEC, "-n", str(n), sys.executable, *map(str, words)]


def ranks(n, *words, status=0):
    done = subprocess.run(
        command(n, SCRIPT, *words), capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False
    )
    assert done.returncode == status, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]) if not status else done


def train(n, *words, **options):
    return subprocess.run(
        command(n, "-m", "minitransformer", "train", *words),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture
def pairs(tmp_path):
    rng = np.random.default_rng(0)
    rows = [" ".join(f"w{word}" for word in rng.integers(5, size=rng.integers(1, 6))) for _ in range(60)]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{row} {i}\t{row}\n" for i, row in enumerate(rows)))
    return path


SETTINGS = ["--vocabulary=word", "--d-model=8", "--n-heads=2", "--d-ff=8", "--batch-size=7", "--dropout=0.1"]
SETTINGS += ["--save-every=4"]


def weights(folder):
    arrays, description = load_checkpoint(folder / "checkpoint.npz")
    return arrays, description["trainer"]["step"]


@mpi
@pytest.mark.parametrize(("n", "sentences"), [(2, 8), (2, 7), (3, 7), (3, 2)])
def test_the_gradient_is_that_of_the_whole_batch_however_it_is_cut(n, sentences):
    difference = ranks(n, "gradients", sentences)
    assert difference["loss"] < 1e-14
    assert difference["gradient"] < 1e-13


@mpi
def test_with_dropout_ranks_draw_what_as_many_workers_draw():
    assert ranks(2, "gradients", 7, 0.3)["gradient"] < 1e-13


@mpi
def test_moments_in_parts_make_the_same_steps_with_a_share_of_the_memory():
    seen = ranks(3, "sharded")
    assert seen["same"]
    assert seen["states same"]
    assert seen["goes on"]
    assert sum(seen["lengths"]) == seen["weights"]
    assert max(seen["lengths"]) - min(seen["lengths"]) <= 1


@mpi
def test_ranks_that_drift_apart_are_found():
    seen = ranks(3, "drift")
    assert seen["said"] == "step 100: the weights of rank 2 are not those of rank 0"
    assert len(seen["by"]) == 3, "every rank has to raise it"


@mpi
def test_two_ranks_train_as_two_workers_and_the_first_alone_speaks(pairs, tmp_path):
    words = [pairs, *SETTINGS, "--steps", "10", "--json"]
    done = train(2, *words, "--workers", "1", "--out", tmp_path / "ranks")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(set(done.stdout.splitlines())), done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["steps"] == 10
    alone = train(1, *words, "--workers", "2", "--out", tmp_path / "workers")
    assert alone.returncode == 0, alone.stderr
    ours, theirs = weights(tmp_path / "ranks")[0], weights(tmp_path / "workers")[0]
    for name in theirs:
        if name.startswith("model."):
            assert np.abs(ours[name] - theirs[name]).max() < 1e-6, name


@mpi
def test_what_three_ranks_began_two_and_one_go_on_with(pairs, tmp_path):
    folder = tmp_path / "run"
    words = [*SETTINGS, "--rate", "1e-3", "--schedule", "constant", "--workers", "1"]
    assert train(3, pairs, *words, "--steps", "5", "--out", folder).returncode == 0
    for n, steps in ((2, 8), (1, 11)):
        done = train(n, "--resume", folder, "--steps", str(steps))
        assert done.returncode == 0, done.stderr
        assert weights(folder)[1] == steps


@mpi
def test_a_rank_that_is_killed_ends_the_job_and_the_last_checkpoint_is_good(pairs, tmp_path):
    folder = tmp_path / "run"
    running = subprocess.Popen(
        command(2, "-m", "minitransformer", "train", pairs, *SETTINGS, "--steps", "1000000", "--out", folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint.npz").exists() or weights(folder)[1] < 8:
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.1)
    victims = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_rank(entry, folder, "1")
    ]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode != 0
    arrays, step = weights(folder)
    assert step >= 8
    assert all(np.isfinite(array).all() for name, array in arrays.items() if name.startswith("model."))


def is_rank(entry, folder, rank):
    """Whether /proc/N is that rank of the run in the folder."""
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
        environment = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return bytes(folder) in words and f"OMPI_COMM_WORLD_RANK={rank}".encode() in environment


@mpi
def test_a_rank_that_fails_while_others_wait_ends_them_all():
    ranks(2, "failing", status=7)


@mpi
def test_a_mistake_is_said_once_and_ends_the_job(tmp_path):
    done = train(2, tmp_path / "nothing.tsv")
    assert done.returncode == 2
    assert done.stderr.count("no such file") == 1


def test_without_a_launcher_there_are_no_ranks_and_nothing_is_imported():
    code = (
        "import sys, minitransformer.cli; from minitransformer.training.parallel import world; "
        "assert world() is None; print('mpi4py' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI", "PMI", "MV2"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


def test_several_ranks_without_mpi4py_are_told_what_is_missing(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    world.cache_clear()
    try:
        with pytest.raises(NoMPI, match=r"4 ranks were started, .*pip install \"minitransformer\[mpi\]\""):
            world()
    finally:
        world.cache_clear()


@pytest.mark.parametrize(
    ("environment", "n"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, 3),
        ({"PMI_SIZE": "2"}, 2),
        ({"PMI_SIZE": "two"}, 1),
        ({"PMI_SIZE": "0"}, 1),
    ],
)
def test_how_many_ranks_a_launcher_started(environment, n):
    assert launched(environment) == n


class Alone:
    """A communicator of `size` ranks as rank `rank` sees it; `digests` are what the others answer."""

    def __init__(self, rank, size, digests=()):
        self.rank, self.size, self.digests = rank, size, digests

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def allgather(self, digest):
        return [digest if d is None else d for d in self.digests]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 6, 7, 22])
def test_parts_of_a_vector_follow_one_another_and_differ_by_one_at_most(n, size):
    ranks = [Ranks(Alone(rank, size)) for rank in range(size)]
    parts = [one.part(n) for one in ranks]
    assert parts == [ranks[0].part(n, rank) for rank in range(size)]
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_ranks_whose_weights_differ_from_the_first_ones_are_named():
    vector = np.arange(3.0)
    Ranks(Alone(0, 3, [None] * 3)).check_same(vector, 7)
    with pytest.raises(Drift, match=r"^step 7: the weights of rank 1, 3 are not those of rank 0$"):
        Ranks(Alone(0, 4, [None, 1, None, 2])).check_same(vector, 7)


@pytest.mark.parametrize(
    ("ranks", "local", "processors", "workers"),
    [(2, None, 4, 2), (2, None, 3, 1), (4, "2", 4, 2), (4, "2", 3, 1), (1, None, 2, 2), (1, None, None, 1)],
)
def test_a_rank_has_two_workers_where_all_of_its_machine_can(monkeypatch, ranks, local, processors, workers):
    monkeypatch.setattr(distributed, "default_workers", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    monkeypatch.delenv("OMPI_COMM_WORLD_LOCAL_SIZE", raising=False)
    if local is not None:
        monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", local)
    assert distributed.workers_for(Ranks(Alone(0, ranks))) == workers
    monkeypatch.setattr(distributed, "default_workers", lambda: 1)
    assert distributed.workers_for(Ranks(Alone(0, ranks))) == 1
