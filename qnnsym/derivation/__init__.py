"""What every derivation is made of: the model, the steps and the obligations that prove them."""
