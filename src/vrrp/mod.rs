//! Who owns the addresses (RFC 9568, RFC 3768). keepalived's Master and Backup are RFC 9568's Active and Backup.
