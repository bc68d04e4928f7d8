#!/usr/bin/python3
"""mutants: does the simulator find planted bugs?

    tests/sim/mutants.py [--work DIR] [--jobs N] [--seconds N] [NAME…]

Copies the tree, applies each patch of tests/sim/mutants in turn, builds paidan-sim alone and runs
seeds until one fails or the time is over.  NAME: only patches whose names contain it.  The exit
code is 1 if any bug was missed, a patch does not apply or does not build, or the unharmed
program fails.
"""
import argparse
import filecmp
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATCHES = os.path.join(ROOT, "tests", "sim", "mutants")
SKIPPED = {"build", ".git", "data", "__pycache__", "node_modules"}


def sync(source, target):
    """Make target equal to source; what is equal already keeps its time, so little is built."""
    os.makedirs(target, exist_ok=True)
    names = [n for n in os.listdir(source) if n not in SKIPPED]
    for name in set(os.listdir(target)) - set(names) - {"build"}:
        path = os.path.join(target, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    for name in names:
        old, new = os.path.join(source, name), os.path.join(target, name)
        if os.path.isdir(old):
            sync(old, new)
        elif not os.path.exists(new) or not filecmp.cmp(old, new, shallow=False):
            shutil.copy(old, new)


def run(command, where, seconds=600):
    try:
        done = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=seconds, errors="replace")
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return -1, "it hangs"


class Tree:
    """One copy of the project, in which patches come and go."""

    def __init__(self, path, seconds):
        self.path, self.seconds = path, seconds
        self.build_path = os.path.join(path, "build", "mutants")

    def prepare(self):
        sync(ROOT, self.path)
        if not os.path.exists(os.path.join(self.build_path, "build.ninja")):
            launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
            code, text = run(["cmake", "-G", "Ninja", "-S", ".", "-B", self.build_path,
                              "-DCMAKE_C_FLAGS=-O1 -g0", "-DCMAKE_C_COMPILER=gcc"] + launcher,
                             self.path)
            if code != 0:
                raise RuntimeError(text)
        code, text = self.build()
        if code != 0:
            raise RuntimeError(text)

    def build(self):
        return run(["ninja", "-C", self.build_path, "-j", "1", "paidan-sim"], self.path)

    def patch(self, patch, *more):
        return run(["patch", "-p1", "-s", "-f", "--no-backup-if-mismatch", "-i", patch, *more],
                   self.path)

    def seeds(self):
        program = os.path.join(self.build_path, "bin", "paidan-sim")
        return run([program, "--once", "--seed", "1", "--seeds", "100000", "--seconds",
                    str(self.seconds)], self.path, self.seconds + 150)

    def judge(self, patch):
        """(found?, what was said)"""
        code, text = self.patch(patch, "--dry-run")
        if code != 0:
            return False, "does not apply: " + text.strip()
        self.patch(patch)
        try:
            code, text = self.build()
            if code != 0:
                errors = [line for line in text.splitlines() if "error" in line]
                return False, "does not build: " + "; ".join(errors[:2])
            code, text = self.seeds()
            said = [line for line in text.splitlines() if "FAILED" in line or "broken" in line]
            return code != 0, " | ".join(said[:2])[:160] if code != 0 else "MISSED"
        finally:
            self.patch(patch, "-R")


def work(tree, waiting, results, lock):
    tree.prepare()
    while True:
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            return
        began = time.monotonic()
        found, text = tree.judge(os.path.join(PATCHES, name))
        with lock:
            results[name] = found
            print("%-5s %-52s %4.1f s  %s" % ("found" if found else "-----", name[:-6],
                                             time.monotonic() - began, text), flush=True)


def unharmed(tree):
    tree.prepare()
    program = os.path.join(tree.build_path, "bin", "paidan-sim")
    code, text = run([program, "--once", "--seeds", "20"], tree.path)
    if code != 0:
        print(text)
    return code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "mutants"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=int, default=25)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    patches = sorted(n for n in os.listdir(PATCHES) if n.endswith(".patch"))
    chosen = [n for n in patches if not given.names or any(w in n for w in given.names)]
    trees = [Tree(os.path.join(given.work, str(i)), given.seconds) for i in range(given.jobs)]
    if not chosen or not unharmed(trees[0]):
        print("mutants: no patch, or the unharmed program fails")
        return 1
    waiting, results, lock = queue.Queue(), {}, threading.Lock()
    for name in chosen:
        waiting.put(name)
    threads = [threading.Thread(target=work, args=(tree, waiting, results, lock))
               for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sum(results.values())
    print("mutants: %d planted, %d found" % (len(chosen), found))
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
