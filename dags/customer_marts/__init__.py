"""customer-marts: from a company's own systems to gated, atomically published customer marts.

The package imports no Airflow. Its two doors are :mod:`customer_marts.cli` and the DAG files;
both call the stage functions of :mod:`customer_marts.pipeline`.
"""

__version__ = "0.1.0"
