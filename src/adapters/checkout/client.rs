pub struct Checkout;
