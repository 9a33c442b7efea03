"""How long drawing the parcels data set takes on one core.

Counts processor time of this process (the drawing uses one thread), so a busy neighbour does not change the figure
much. Ends with one RESULT line.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and torch are imported

from coursekit.data import parcels

TARGET_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more repetitions")
    repetitions = 10 if parser.parse_args().full else 3
    parcels(100)  # builds the texture tiles
    print(f"{'pictures':>8}  {'size':>7}  {'seconds':>7}  {'pictures/s':>10}")
    best = {}
    for count, size in ((10_000, 32), (2_500, 64), (200, 224)):
        times = []
        for _ in range(repetitions):
            start = time.process_time()
            parcels(count, size)
            times.append(time.process_time() - start)
        best[size] = min(times)
        print(f"{count:>8}  {f'{size}x{size}':>7}  {best[size]:>7.2f}  {count / best[size]:>10.0f}")
    verdict = "PASS" if best[32] <= TARGET_SECONDS else "FAIL"
    print(f"RESULT parcels_10000_32px_one_core {best[32]:.2f} s target <= {TARGET_SECONDS:g} {verdict}")


if __name__ == "__main__":
    main()
