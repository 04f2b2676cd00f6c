"""The rules of recommending: what is left out, what an item looks like, which list is asked for."""
