"""What is done to a running train: a rank is ended or frozen, or a checkpoint damaged first."""

import os
import random
import signal

import psutil

KINDS = {
    "kill -9": signal.SIGKILL,
    "os._exit": signal.SIGUSR2,
    "exception": signal.SIGUSR1,
    "SIGSTOP": signal.SIGSTOP,
    "SIGTERM": signal.SIGTERM,
    "cut": signal.SIGKILL,
    "flip": signal.SIGKILL,
    "cut cache": None,
    "flip cache": None,
}
CHECKPOINTS, CACHES = ("cut", "flip"), ("cut cache", "flip cache")


def rank_of(launcher, number):
    """The process that is rank ``number``; none while there is none."""
    for process in psutil.Process(launcher).children(recursive=True):
        try:
            found = process.environ().get("OMPI_COMM_WORLD_RANK") == str(number)
        except psutil.Error:
            continue
        if found and "mpiedge" in process.cmdline():
            return process
    return None


def strike(kind, launcher, number, folder, dice):
    """Disturb a rank; whether it, or what is to be damaged, was there.

    After a cache was damaged a rank is killed too in every other case: what is read by the run
    that wrote it is one thing, what a later one finds another.
    """
    victim = rank_of(launcher, number)
    if victim is None:
        return False
    if kind in (*CHECKPOINTS, *CACHES) and not damage(kind, folder, dice):
        return False
    if kind in CACHES and dice.random() < 0.5:
        return True
    try:
        victim.send_signal(KINDS[kind] or signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


def damage(kind, folder, dice):
    """Cut a file short, or change one of its bits; whether there was one.

    One of the newest checkpoint's, or one of the caches'.
    """
    if kind in CACHES:
        found = sorted(folder.parent.glob("caches/**/*.h5"))
    else:
        parts = sorted(folder.glob("checkpoints/update-*"))
        found = [part for part in parts if part.name.split(".")[0] == parts[-1].name.split(".")[0]]
    if not found:
        return False
    path = dice.choice(found)
    size = path.stat().st_size
    place = dice.randrange(size)
    if kind.startswith("cut"):
        os.truncate(path, place)
        return True
    with path.open("r+b") as file:
        file.seek(place)
        bit = file.read(1)[0] ^ 1 << dice.randrange(8)
        file.seek(place)
        file.write(bytes([bit]))
    return True


def dice_of(seed):
    """Chance that can be repeated."""
    return random.Random(seed)
