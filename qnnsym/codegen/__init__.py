"""From equations to kernels: the loop form and its emitters."""
