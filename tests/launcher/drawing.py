"""A module with a generator of random numbers of its own, as imports make them."""
import random

GENERATOR = random.Random()
