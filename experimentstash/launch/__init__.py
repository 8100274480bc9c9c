"""Where and when the runs of a sweep are executed. Hydra finds these launchers through `hydra_plugins`."""
