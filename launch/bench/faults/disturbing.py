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
}
DAMAGES = ("cut", "flip")


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
    """Disturb a rank; whether it was there."""
    victim = rank_of(launcher, number)
    if victim is None:
        return False
    if kind in DAMAGES:
        damage(kind, folder, dice)
    try:
        victim.send_signal(KINDS[kind])
    except psutil.NoSuchProcess:
        return False
    return True


def damage(kind, folder, dice):
    """Cut one of the newest checkpoint's files short, or change one of its bits."""
    parts = sorted(folder.glob("checkpoints/update-*"))
    newest = [part for part in parts if part.name.split(".")[0] == parts[-1].name.split(".")[0]]
    path = dice.choice(newest)
    content = bytearray(path.read_bytes())
    place = dice.randrange(len(content))
    if kind == "cut":
        os.truncate(path, place)
        return
    content[place] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def dice_of(seed):
    """Chance that can be repeated."""
    return random.Random(seed)
