"""Build an image from its Dockerfile without Docker, and test it.

debootstrap creates the base image, as for debian:*-slim; RUN is executed in a chroot. The image
is then run as by `docker run --read-only`: as its user, in its own network, with only the volume
writable. Needs root, debootstrap and unshare.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wyoming_faster_whisper.models import choose, locate

from .support.dockerfile import ROOT, Instruction, Stage, read

BASES = ROOT / "build" / "debian"  # cached base systems

# $1 root of the image, $2 volume, $3 user, $4 command, $5 health check. The variables of the
# image are set in the environment.
_TRY = r"""
set -eu
root=$1 data=$2 user=$3 start=$4 check=$5
ip link set lo up
mount --bind "$root" "$root"
mkdir -p "$root/data"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
in_image() { chroot --userspec="$user" "$root" /bin/sh -c "$1"; }
if in_image "touch /written /tmp/written" 2>/dev/null; then
  echo "the image is writable" >&2
  exit 1
fi
chroot --userspec="$user" "$root" /bin/sh -c "exec $start" &  # exec: the server gets TERM
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
tries=0
until in_image "exec $check" 2>/dev/null; do
  kill -0 $server
  tries=$((tries + 1))
  [ $tries -lt 60 ]
  sleep 1
done
in_image "exec wyoming-faster-whisper-client transcribe /data/kitchen.wav"
kill $server
wait $server
"""


def mirror() -> str:
    """Return the mirror of Debian's main archive that apt on this machine is configured with."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listed.stdout.splitlines():
        uri = line.strip().rstrip("/")
        if uri.endswith("/debian"):
            return uri
    sys.exit("apt has no mirror of Debian's main archive")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build an image without Docker, and test it.")
    parser.add_argument("dockerfile", nargs="?", default="Dockerfile")
    parser.add_argument(
        "--arch", default="amd64", help="Debian architecture (default: %(default)s)"
    )
    args = parser.parse_args()
    dockerfile = ROOT / args.dockerfile
    of_the_addon = dockerfile.parent.name == "addon"
    context = ROOT / "dist" / "addon" / "faster_whisper" if of_the_addon else ROOT
    with tempfile.TemporaryDirectory() as folder:
        roots: dict[str, Path] = {}
        for number, stage in enumerate(read(dockerfile)):
            root = Path(folder, f"stage-{number}")
            subprocess.run(["cp", "-a", base(stage.base, args.arch), root], check=True)
            build(stage, root, context, roots)
            roots[stage.name] = root
        size = subprocess.run(["du", "-sm", root], capture_output=True, text=True, check=True)
        log(f"{args.dockerfile} for {args.arch}: {size.stdout.split()[0]} MB")
        try_out(stage, root, Path(folder, "data"))


def log(line: str) -> None:
    sys.stderr.write(f"== {line}\n")


def base(name: str, arch: str) -> Path:
    """Return a Debian root file system like the image debian:SUITE-slim."""
    found = re.fullmatch(r"debian:(\w+)-slim", name)
    assert found is not None, f"{name} is not a supported base image"
    tree = BASES / f"{found[1]}-{arch}"
    if not tree.exists():
        log(f"debootstrap {found[1]} for {arch}")
        BASES.mkdir(parents=True, exist_ok=True)
        unfinished = tree.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--arch={arch}",
                found[1],
                unfinished,
                mirror(),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        unfinished.rename(tree)
    return tree


def build(stage: Stage, root: Path, context: Path, others: dict[str, Path]) -> None:
    """Execute the instructions that change the file system of the image."""
    environ = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    folder = "/"
    for instruction in stage.instructions:
        match instruction.name:
            case "WORKDIR":
                folder = instruction.text
                (root / folder[1:]).mkdir(parents=True, exist_ok=True)
            case "ARG":
                environ |= dict(word.split("=", 1) for word in instruction.arguments)
            case "COPY":
                copy(instruction, root, folder, context, others)
            case "RUN":
                log(f"RUN {instruction.text[:70]} ...")
                run(instruction.text, root, folder, environ)


def copy(
    instruction: Instruction, root: Path, folder: str, context: Path, others: dict[str, Path]
) -> None:
    *sources, target = instruction.arguments
    place = root / os.path.join(folder, target)[1:]
    origin = others[instruction.flags["from"]] if "from" in instruction.flags else context
    for pattern in sources:
        matches = list(origin.glob(pattern.lstrip("/")))
        assert matches, f"COPY: there is no {pattern} in {origin}"
        for match in matches:
            # As in Docker, the content of a folder is copied into the target.
            command = ["cp", "-a", f"{match}/." if match.is_dir() else match, place]
            (place if match.is_dir() or target.endswith("/") else place.parent).mkdir(
                parents=True, exist_ok=True
            )
            subprocess.run(command, check=True)


def run(command: str, root: Path, folder: str, environ: dict[str, str]) -> None:
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    # Pass on the certificates and proxy of this machine, as one does for docker build.
    for name in ("PIP_CERT", "http_proxy", "https_proxy"):
        if name in os.environ:
            environ[name] = os.environ[name]
    if certificates := environ.get("PIP_CERT"):
        place = root / "build-certificates.pem"
        shutil.copy(certificates, place)
        environ["PIP_CERT"] = f"/{place.name}"
    script = f'mount -t proc proc "$1/proc"; exec chroot "$1" /bin/sh -ec "cd {folder}; $2"'
    subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script, "run", root, command],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (root / "build-certificates.pem").unlink(missing_ok=True)


def try_out(image: Stage, root: Path, data: Path) -> None:
    """Run the image with tiny.en in its volume, and transcribe a recording."""
    model = data / "models--Systran--faster-whisper-tiny.en" / "snapshots" / "1"
    model.parent.mkdir(parents=True)
    shutil.copytree(locate(choose("tiny.en", []), data), model)
    shutil.copy(ROOT / "tests" / "data" / "kitchen.wav", data)
    names = {one.name for one in image.instructions}
    start = image.last("ENTRYPOINT" if "ENTRYPOINT" in names else "CMD").arguments
    user = image.last("USER").text if "USER" in names else "0:0"
    if "ENTRYPOINT" in names:
        start += ["--model", "tiny.en", "--language", "en"]
    else:
        options = '{"model": "tiny.en", "language": "en", "beam_size": 0}'
        (data / "options.json").write_text(options)
    subprocess.run(["chown", "-R", user, data], check=True)
    path = image.environment["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin")
    log(f"as user {user}: {' '.join(start)}")
    arguments = [str(root), str(data), user, " ".join(start), " ".join(image.health_check)]
    subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", _TRY, "try", *arguments],
        env={**image.environment, "PATH": path},
        check=True,
    )


if __name__ == "__main__":
    main()
