//! Which cores are the generator's and which the brokers'.
