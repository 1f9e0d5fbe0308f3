"""The three parts of a version (code, weights, environment), the depot that keeps them, and what is made of them."""
