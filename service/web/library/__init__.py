"""The values that the API shows of the library, and the calls that the composition root fills."""
