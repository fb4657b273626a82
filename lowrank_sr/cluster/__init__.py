"""Pictures and networks as tasks on several processes and machines, by Dask's scheduler and workers."""
