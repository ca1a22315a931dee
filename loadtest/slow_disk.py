#!/usr/bin/env python3
"""How commits behave on slow disks: holds and releases over HTTP while each fdatasync and fsync takes longer.

  slow_disk.py <onsale> <onsale-loadtest> [--micros 0,2000,10000] [--connections 1,64,256,1024] [--seconds 3] [--scratch DIR]

Both are built release binaries. A library that is put before the C library's (slow_disk.c, compiled by gcc) sleeps before each of the two calls, so
the disk of --scratch is as slow as one likes. sync_file_range, by which sled hands its pages to the disk before, keeps the disk's own speed. Prints a
table for docs/BENCHMARKS.md: one line a number of connections, and for each disk holds and releases a second, p50 and p99. Each run's book is checked.
"""

import argparse, json, os, subprocess, sys, tempfile


def measured(args, library, micros, connections, scratch):
    """Returns the rate and the percentiles of a run."""
    out = os.path.join(scratch, "figures.json")
    command = [args.loadtest, "holds", "--no-echo", "--start", args.onsale, "--connections", str(connections), "--rounds", "1",
               "--seconds", str(args.seconds), "--live", "1", "--seats", "50000", "--users", "4096", "--scratch", scratch, "--json", out,
               "--server-env", f"LD_PRELOAD={library}", "--server-env", f"SLOW_DISK_MICROS={micros}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{run.stdout}{run.stderr}")
    with open(out) as file:
        series = json.load(file)["series"][0]
    at = {each["at"]: each["ms"] for each in series["latency"]}
    return f"{series['requestsPerSecond']['median']:,.0f}", f"{at['p50']:.1f}", f"{at['p99']:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onsale")
    parser.add_argument("loadtest")
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser.add_argument("--micros", type=numbers, default=[0, 2_000, 10_000])
    parser.add_argument("--connections", type=numbers, default=[1, 64, 256, 1_024])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    args = parser.parse_args()

    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow_disk.c")
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        library = os.path.join(scratch, "slow_disk.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
        disk = lambda micros: "this disk" if micros == 0 else f"+ {micros / 1000:g} ms"
        print("| connections |" + "".join(f" {disk(micros)}: a second | p50 ms | p99 ms |" for micros in args.micros))
        print("| --- |" + " --- | --- | --- |" * len(args.micros))
        for connections in args.connections:
            cells = [cell for micros in args.micros for cell in measured(args, library, micros, connections, scratch)]
            print(f"| {connections} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
