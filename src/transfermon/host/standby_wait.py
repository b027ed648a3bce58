"""Wait until the engine's process is gone, then become the engine. Run by path: `python -I -S
standby_wait.py DIR`.

Rule: nothing of ours is imported and nothing but builtin modules is, so that waiting costs next to
nothing. The lock belongs to the open file and goes along over exec: there is no moment in which
nobody owns the state.
"""

import fcntl
import posix
import signal
import sys

FOLDER = sys.argv[1]
OPEN = posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW

for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
# ends the wait at once; a handler would go back into flock
signal.signal(signal.SIGTERM, signal.SIG_DFL)
only = posix.open(f"{FOLDER}/standby.lock", OPEN, 0o600)
try:
    fcntl.flock(only, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)  # another one waits already
posix.ftruncate(only, 0)
posix.pwrite(only, str(posix.getpid()).encode(), 0)
engine = posix.open(f"{FOLDER}/engine.lock", OPEN, 0o600)
fcntl.flock(engine, fcntl.LOCK_EX)
posix.set_inheritable(engine, True)
words = ["-m", "transfermon", "--state-dir", FOLDER, "standby", "--lock-fd", str(engine)]
posix.execve(sys.executable, [sys.executable, *words], posix.environ)
