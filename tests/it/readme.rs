//! What the README says is held against the product.
