"""Everything that computes or stores: the walk, its stores, and the surfaces over them."""
