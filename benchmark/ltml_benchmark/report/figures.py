def save_run_figures(out): pass
