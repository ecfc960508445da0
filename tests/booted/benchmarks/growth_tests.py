"""The arithmetic of growth_model: `python3 -m unittest benchmarks.growth_tests` in tests/booted."""

import unittest
from dataclasses import replace

from benchmarks.growth_model import Measured, forecast, table

# Ten workers serve a request with 18 ms beside following each other (0.2 ms each): 20 ms in all.
MEASURED = Measured(workers=10, main=0.001, serving=0.020, following=0.0002, redis=0.00011, postgres=0.004, sent=11_000, idle=0.05,
                    pool=4)


class Growth(unittest.TestCase):
    def test_the_measured_size_needs_what_was_measured(self) -> None:
        found = forecast(MEASURED, 10)
        # A worker has 0.85 - 0.05 of a processor for requests, and each costs it 2 ms.
        self.assertAlmostEqual(found.limits["workers"], 400)
        self.assertAlmostEqual(found.limits["main"], 800)
        self.assertAlmostEqual(found.limits["Redis"], 0.85 / 0.00011)
        self.assertEqual((found.ends_first, round(found.rate)), ("workers", 400))
        self.assertAlmostEqual(found.main, 0.45)
        self.assertAlmostEqual(found.redis, 0.044)
        self.assertAlmostEqual(found.postgres, 1.6)
        self.assertAlmostEqual(found.sent, 4_400_000)
        # Ten workers at 85 %, and main at 45 %.
        self.assertAlmostEqual(found.synapse, 8.95)

    def test_main_ends_first_when_workers_are_many(self) -> None:
        found = forecast(MEASURED, 50)
        # 18 ms among 50 workers, and 0.2 ms for each of them.
        self.assertAlmostEqual(found.limits["workers"], 0.8 / (0.018 / 50 + 0.0002))
        self.assertEqual((found.ends_first, round(found.rate)), ("main", 800))
        self.assertAlmostEqual(found.main, 0.85)
        self.assertAlmostEqual(found.redis, 800 * 0.00011 * 51 / 11)

    def test_following_bounds_what_any_number_of_workers_carries(self) -> None:
        bound = 0.8 / 0.0002
        self.assertLess(forecast(MEASURED, 200).limits["workers"], bound)
        self.assertGreater(forecast(MEASURED, 100_000).limits["workers"], 0.99 * bound)

    def test_redis_ends_first_when_it_sends_to_all(self) -> None:
        found = forecast(replace(MEASURED, redis=0.0005), 200)
        # 0.5 ms for 11 processes become 201/11 times as much.
        self.assertEqual(found.ends_first, "Redis")
        self.assertAlmostEqual(found.rate, 0.85 / (0.0005 * 201 / 11))
        self.assertAlmostEqual(found.redis, 0.85)
        self.assertAlmostEqual(found.sent, found.rate * 11_000 * 201 / 11)

    def test_every_process_may_open_its_pool(self) -> None:
        self.assertEqual([forecast(MEASURED, workers).connections for workers in (10, 24, 200)], [44, 100, 804])
        rows = table([forecast(MEASURED, workers) for workers in (10, 200)])
        self.assertTrue(rows[1].endswith(" 44 "), rows[1])
        self.assertTrue(rows[2].endswith(" 804*"), rows[2])

    def test_costs_below_the_noise_carry_anything(self) -> None:
        found = forecast(replace(MEASURED, serving=0.001, following=0.0002, redis=0.0), 10)
        # Following alone costs more than was measured in all workers: nothing is divided.
        self.assertAlmostEqual(found.limits["workers"], 0.8 / 0.0002)
        self.assertEqual(found.limits["Redis"], float("inf"))


if __name__ == "__main__":
    unittest.main()
