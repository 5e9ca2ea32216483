"""Names of the implementations that every run times, as keys of the JSON file and in legends."""

FASTNORM = "fastnorm"
OUT = "fastnorm out="
NUMPY = "NumPy"
ADD = "np.add"
STEPS = "steps"
