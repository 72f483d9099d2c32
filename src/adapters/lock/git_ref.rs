pub struct GitRefLock;
