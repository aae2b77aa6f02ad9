"""customer-marts: from a company's own systems to gated, atomically published customer marts.

The package imports no Airflow. Its two doors are :mod:`customer_marts.cli` and the DAG files;
both call the stage functions of :mod:`customer_marts.pipeline`.
"""

import os

# scipy's L-BFGS hands BLAS products of four numbers, at which BLAS threads wait for each other
# longer than they work: a fit took three times as long on a busy machine. It reads this once, when
# it is loaded. The models' own threads, over chunks of customers, are not meant.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
