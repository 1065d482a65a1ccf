#!/usr/bin/env python3
"""Every public item has an example that runs, or a reason why not.

Reads what rustdoc knows (its JSON), so it sees what a reader of the pages sees. Exits with 1 when an
item has neither, and when a reason is given for an item that needs none.
"""

import fnmatch
import json
import os
import pathlib
import subprocess
import sys

# Item, or a pattern of items: why there is no example of its own.
REASONS = {
    "config::SessionConfigBuilder::*": "each is the setting of that name; the table of `SessionConfig` explains them",
    "store::RecordParts": "`Record::from_parts` has the example",
    "store::Change": "made by the handle; its methods have the examples",
    "store::SessionStore::*": "`examples/custom_store.rs` implements all of them",
    "clock::Clock::now": "the trait's page has an example that implements it",
    "ParserBuilderExt::sessions": "the trait's page has the example",
    "globals::IntoGlobal::into_global": "the trait's page has the example",
    "ErrorKind": "`Error` has the example",
    "http::SessionService": "made by the layer, whose page has the example",
    "http::ResponseFuture": "made by the service; nobody names it",
}

root = pathlib.Path(__file__).resolve().parent.parent


def rustdoc_json():
    """Has rustdoc write its JSON, which is unstable: hence the wrapper."""
    command = ["cargo", "rustdoc", "--quiet", "--package", "liquid-session", "--lib", "--all-features"]
    flags = ["-Z", "unstable-options", "--output-format", "json"]
    environment = {**os.environ, "RUSTDOC": str(root / ".ci" / "rustdoc")}
    target = root / "target"
    subprocess.run([*command, "--target-dir", target, "--", *flags], cwd=root, env=environment, check=True)
    return json.loads(pathlib.Path(target, "doc", "liquid_session.json").read_text())


def has_example(item):
    """Whether the page of an item has a block of Rust that is run or compiled."""
    inside = False
    for line in (item["docs"] or "").splitlines():
        line = line.strip()
        if not line.startswith("```"):
            continue
        if not inside:
            words = set(line.strip("`").replace(",", " ").split())
            if not words - {"rust", "no_run", "should_panic", "compile_fail", "edition2024"}:
                return True
        inside = not inside
    return False


def children(index, item):
    """What a page shows besides itself: pairs of name and item."""
    (kind, inner), = item["inner"].items()
    if kind == "module":
        for id in inner["items"]:
            child = index[str(id)]
            use = child["inner"].get("use")
            if use is None:
                yield child["name"], child
            elif str(use["id"]) in index:
                yield use["name"], index[str(use["id"])]
    elif kind == "trait":
        for id in inner["items"]:
            yield index[str(id)]["name"], index[str(id)]
    elif kind in ("struct", "enum"):
        for id in inner["impls"]:
            block = index[str(id)]["inner"]["impl"]
            if block["trait"] is None:
                for method in block["items"]:
                    yield index[str(method)]["name"], index[str(method)]


def items(index, item, path=()):
    for name, child in children(index, item):
        (kind, _), = child["inner"].items()
        if child["visibility"] not in ("public", "default"):
            continue
        here = (*path, name)
        yield "::".join(here), kind, child
        yield from items(index, child, here)


def main():
    crate = rustdoc_json()
    index = crate["index"]
    shown = {}
    # An item may be shown in several places: the shortest path is its own.
    for path, kind, item in items(index, index[str(crate["root"])]):
        known = shown.get(item["id"])
        if known is None or len(path) < len(known[0]):
            shown[item["id"]] = (path, kind, item)
    wanted = {"struct", "enum", "trait", "function", "macro", "type_alias"}
    wanted = [(path, item) for path, kind, item in shown.values() if kind in wanted]
    if len(wanted) < 150:
        print(f"found only {len(wanted)} public items: the format of rustdoc's JSON has changed")
        return 1

    without, needed = [], set()
    for path, item in sorted(wanted, key=lambda pair: pair[0]):
        if has_example(item):
            continue
        patterns = [pattern for pattern in REASONS if fnmatch.fnmatchcase(path, pattern)]
        needed.update(patterns)
        if not patterns:
            without.append(path)
    for path in without:
        print(f"no example, and no reason why not: {path}")
    for pattern in REASONS.keys() - needed:
        print(f"a reason that nothing needs: {pattern}")
    if not without and needed == REASONS.keys():
        print(f"{len(wanted)} public items, {len(REASONS)} reasons")
        return 0
    return 1


sys.exit(main())
