#!/usr/bin/env python3
"""The `rust-version` of Cargo.toml is true for what the crate brings, and stated nowhere else."""

import json
import re
import subprocess
import sys

NAME = "liquid-session"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def number(version):
    return tuple(int(part) for part in version.split("."))


def brought(metadata, root):
    """The packages that come with a package, on any platform; not those of its tests."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, ahead = set(), [root]
    while ahead:
        package = ahead.pop()
        if package not in found:
            found.add(package)
            ahead += [
                dependency["pkg"]
                for dependency in nodes[package]["deps"]
                if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
            ]
    return found


def too_new(packages, ours):
    """What asks for a newer compiler than we say."""
    return sorted(
        f"{package['name']} {package['version']} needs Rust {package['rust_version']}, "
        f"Cargo.toml says {ours}"
        for package in packages
        if package["rust_version"] and number(package["rust_version"])[:2] > number(ours)[:2]
    )


def stated(ours):
    """Other places that name the compiler with this number."""
    versioned = re.compile(rf"\b{re.escape(ours)}(\.\d+)?\b")
    about = re.compile(r"rust|msrv|compiler", re.IGNORECASE)
    files = [file for file in run("git", "ls-files").splitlines() if file != "Cargo.lock"]
    places = []
    for file in files:
        try:
            lines = open(file, encoding="utf-8").read().splitlines()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        places += [
            f"{file}:{at}"
            for at, line in enumerate(lines, 1)
            if versioned.search(line) and about.search(line)
        ]
    return places


def main():
    metadata = json.loads(
        run("cargo", "metadata", "--locked", "--all-features", "--format-version", "1")
    )
    by_id = {package["id"]: package for package in metadata["packages"]}
    root = next(id for id, package in by_id.items() if package["name"] == NAME)
    ours = by_id[root]["rust_version"]
    packages = [by_id[id] for id in brought(metadata, root)]
    problems = too_new(packages, ours)
    places = stated(ours)
    if len(places) != 1 or not places[0].startswith("Cargo.toml:"):
        problems.append(
            f"expected Rust {ours} to be named in Cargo.toml alone, found {', '.join(places)}"
        )
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{len(packages)} packages, none needs more than Rust {ours}")


main()
