//! Every route times every fault.
