"""customer-marts: from a company's own systems to gated, atomically published customer marts.

The package imports no Airflow. Its two doors are :mod:`customer_marts.cli` and the DAG files;
both call the stage functions of :mod:`customer_marts.pipeline`.
"""

import gc
import os

# scipy's L-BFGS hands BLAS products of four numbers, at which BLAS threads wait for each other
# longer than they work: a fit took three times as long on a busy machine. It reads this once, when
# it is loaded. The models' own threads, over chunks of customers, are not meant.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# dbt and great_expectations make a million objects that live as long as the process, and Python
# looked through them again and again for garbage: 5.5 of the 35 s of a day of the sample, while
# every thread waited. Looked for every 100,000 objects, not every 700, it takes 2.4 s, most of it
# Airflow's start; a build stands at 30 MB more.
gc.set_threshold(100_000, 50, 100)

__version__ = "0.1.0"
