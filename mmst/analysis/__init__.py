"""Views of trained models and of runs. Import each module where you need it."""
