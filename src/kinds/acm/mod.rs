//! Certificate Manager: the certificate of the HTTPS listeners.
