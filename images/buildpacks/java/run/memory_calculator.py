#!/usr/bin/env python3
"""Divides the instance's memory among the regions of the JVM, and prints its options. usage: java-buildpack-memory-calculator

    heap = MEMORY_LIMIT - headroom - direct memory - metaspace - code cache - threads * stack

Metaspace follows from the number of classes. What JAVA_OPTS sets already is taken as it is and not printed again. Where the limit leaves too
little heap, the estimates shrink, in the order in which they are too generous for a small app, with a line on standard error that says so.
"""

import json
import os
import re
import shlex
import sys

K, M = 1 << 10, 1 << 20
UNITS = {"": 1, "B": 1, "K": K, "KB": K, "M": M, "MB": M, "G": K * M, "GB": K * M, "T": M * M, "TB": M * M}
OPTIONS = {
    "direct": "-XX:MaxDirectMemorySize=",
    "heap": "-Xmx",
    "metaspace": "-XX:MaxMetaspaceSize=",
    "code": "-XX:ReservedCodeCacheSize=",
    "stack": "-Xss",
}
# What an estimate may shrink to, first by first; the last steps are for the smallest apps.
FLOORS = (("threads", 50), ("code", 64 * M), ("threads", 20), ("code", 40 * M), ("metaspace", 80 * M), ("code", 24 * M), ("metaspace", 40 * M), ("threads", 12))


def size(text):
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if not match or match[2].upper() not in UNITS:
        raise SystemExit(f"Memory Calculator: '{text}' is not a size of memory")
    return int(match[1]) * UNITS[match[2].upper()]


def shown(value):
    return f"{value // M}M" if value % M == 0 else f"{value // K}K"


def settings():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../java/memory.json"), encoding="utf-8") as file:
        values = json.load(file)
    for name in ("stack_threads", "headroom"):
        text = os.environ.get(f"MEMORY_CALCULATOR_{name.upper()}", "")
        if text.isdigit():
            values[name] = int(text)
    return values


def given():
    """The sizes that JAVA_OPTS sets, by region. The last one of several counts."""
    found = {}
    for option in shlex.split(os.environ.get("JAVA_OPTS", "")):
        for region, prefix in OPTIONS.items():
            if option.startswith(prefix):
                found[region] = size(option.removeprefix(prefix))
        if option.startswith(("-XX:MaxHeapSize=", "-XX:MaxRAMPercentage=")):
            found["heap"] = size(option.partition("=")[2]) if "Size" in option else None
    return found


def main():
    if not os.environ.get("MEMORY_LIMIT"):
        return
    total, values, fixed = size(os.environ["MEMORY_LIMIT"]), settings(), given()
    plan = {"direct": 10 * M, "metaspace": 14000000 + 5800 * values["class_count"], "code": 240 * M, "stack": M}
    plan = {region: value // K * K for region, value in plan.items()}
    plan.update(fixed)
    plan["threads"] = values["stack_threads"]
    available = total - total * values["headroom"] // 100

    def heap():
        return available - plan["direct"] - plan["metaspace"] - plan["code"] - plan["threads"] * plan["stack"]

    if "heap" not in fixed:
        before = dict(plan)
        shrink(plan, fixed, heap, available * 4 // 10)
        if heap() < 8 * M:
            raise SystemExit(
                f"Memory Calculator: {shown(total)} are too little: metaspace, code cache, {plan['threads']} threads and direct memory need {shown(available - heap())}. "
                "Give the app more memory, or smaller regions in JAVA_OPTS."
            )
        plan["heap"] = heap() // K * K
        if plan["threads"] != before["threads"] or plan["code"] != before["code"]:
            print(
                f"Memory Calculator: {shown(total)} are little for {before['threads']} threads and {shown(before['code'])} of code cache: "
                f"calculated with {plan['threads']} threads, code cache {shown(plan['code'])}, metaspace {shown(plan['metaspace'])}.",
                file=sys.stderr,
            )
    print(" ".join(prefix + shown(plan[region]) for region, prefix in OPTIONS.items() if region not in fixed))


def shrink(plan, fixed, heap, wanted):
    for region, floor in FLOORS:
        missing = wanted - heap()
        if missing <= 0:
            return
        if region == "threads":
            plan[region] = max(min(plan[region], floor), plan[region] - -(-missing // plan["stack"]))
        elif region not in fixed:
            plan[region] = max(min(plan[region], floor), (plan[region] - missing) // M * M)


main()
