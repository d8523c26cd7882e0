"""Room `trust`: keys, signatures, and who may sign what.

Everything that is signed, of whatever kind, is one DSSE envelope round canonical JSON:

    key = PrivateKey.generate()
    data = sign(DocumentType.REGISTER, {"number": 3, "premises": []}, key)
    payload = verify(data, DocumentType.REGISTER, [key.public])          # or BadSignature
    signed = examine(data, DocumentType.REGISTER, [key.public])          # payload, signers, digest

    data = sign_file(DocumentType.CONFIG, content, key)                  # a signature beside a file
    verify_file(data, content, DocumentType.CONFIG, [key.public])        # or DigestMismatch

A signature for one `DocumentType` is never valid for another. `keys` are lists from oldest to
newest: any of them verifies, the newest signs; leaving a key out revokes it. `checks` holds the
rules that every signed document shares: validity (`Expired`) and numbers that only grow
(`Rollback`).

Verification (`documents`, `envelope`, `keys`, `keyring`, `checks`) is pure; nothing there reads a
file or a clock; so are `model_signature` (OpenSSF model signing) and `tpm_quote`. Edge modules:
`key_files` (keys from disk), `device_identity` (the unit's own key), `tpm` (what a TPM does),
`durable_file` (writes that survive a power cut).

Not here: which records a device accepts (`authority`), and attestation.
"""
