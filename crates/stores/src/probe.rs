//! The proof: open a TLS connection and look at what is served.

use std::{
    io::Write,
    net::{TcpStream, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// One handshake with `address`; the leaf the server presented and proved to hold the key of.
pub(crate) fn served_certificate(
    address: &str,
    server_name: Option<&str>,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(server_name.unwrap_or(host).to_owned())
        .map_err(|_| format!("{address}: the server name is not valid"))?;
    let verifier = Arc::new(ThumbprintComparedLater::new());
    let config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let handshake = shake_hands(connection, address, timeout);
    // A server that asks for a client certificate ends the handshake after it has proved its own: that is enough.
    match verifier.proven() {
        Some(certificate) => Ok(certificate),
        None => Err(handshake
            .err()
            .unwrap_or_else(|| format!("{address}: no certificate"))),
    }
}

fn shake_hands(
    mut connection: ClientConnection,
    address: &str,
    timeout: Duration,
) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let mut stream = connect(address, timeout)?;
    let broken =
        |error: &dyn std::fmt::Display| format!("{address}: TLS handshake failed: {error}");
    while connection.is_handshaking() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(broken(&"no answer in time"));
        }
        stream
            .set_read_timeout(Some(left))
            .map_err(|error| broken(&error))?;
        stream
            .set_write_timeout(Some(left))
            .map_err(|error| broken(&error))?;
        if connection.wants_write() {
            connection
                .write_tls(&mut stream)
                .map_err(|error| broken(&error))?;
            stream.flush().map_err(|error| broken(&error))?;
        } else {
            let read = connection
                .read_tls(&mut stream)
                .map_err(|error| broken(&error))?;
            if read == 0 {
                return Err(broken(&"the connection was closed"));
            }
            connection
                .process_new_packets()
                .map_err(|error| broken(&error))?;
        }
    }
    connection.send_close_notify();
    // A courtesy only; the proof is complete.
    let _ = connection.write_tls(&mut stream);
    Ok(())
}

fn connect(address: &str, timeout: Duration) -> Result<TcpStream, String> {
    let addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: cannot be resolved: {error}"))?;
    let mut last = format!("{address}: resolves to nothing");
    for candidate in addresses {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{address}: cannot connect: {error}"),
        }
    }
    Err(last)
}

/// Accepts whatever certificate is served, and remembers it.
///
/// The probe does not ask whether the certificate is trusted, current or right for the name: it asks *which* one is
/// served, and the caller compares its thumbprint with the job's. That comparison is stricter than any path building.
/// The handshake signature is still verified, so the server holds the private key. Nothing is ever sent on such a
/// connection.
#[derive(Debug)]
struct ThumbprintComparedLater {
    provider: Arc<CryptoProvider>,
    proven: Mutex<Option<Vec<u8>>>,
}

impl ThumbprintComparedLater {
    fn new() -> Self {
        Self {
            provider: Arc::new(default_provider()),
            proven: Mutex::new(None),
        }
    }

    fn proven(&self) -> Option<Vec<u8>> {
        self.proven
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, certificate: &CertificateDer<'_>) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.to_vec());
    }
}

impl ServerCertVerifier for ThumbprintComparedLater {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls12_signature(message, certificate, signature, algorithms)?;
        self.remember(certificate);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls13_signature(message, certificate, signature, algorithms)?;
        self.remember(certificate);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use rustls::{
        ServerConfig, ServerConnection,
        pki_types::{PrivateKeyDer, pem::PemObject},
        version::{TLS12, TLS13},
    };

    use super::*;
    use crate::testing::FIRST;

    fn serve_once(versions: &[&'static rustls::SupportedProtocolVersion]) -> (String, Vec<u8>) {
        let certificate = CertificateDer::from_pem_slice(FIRST.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(FIRST.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            while connection.is_handshaking() {
                connection.complete_io(&mut stream).unwrap();
            }
        });
        (address, certificate.to_vec())
    }

    #[test]
    fn the_served_leaf_is_seen_whoever_issued_it() {
        for versions in [[&TLS12], [&TLS13]] {
            let (address, expected) = serve_once(&versions);
            let served =
                served_certificate(&address, Some("other.example"), Duration::from_secs(10));
            assert_eq!(served, Ok(expected));
        }
    }

    #[test]
    fn no_server_and_no_tls_are_errors_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let plain = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 not TLS\r\n").unwrap();
        });
        let error = served_certificate(&address, None, Duration::from_secs(10)).unwrap_err();
        assert!(error.contains("TLS handshake failed"), "{error}");
        plain.join().unwrap();
        let error = served_certificate(&address, None, Duration::from_secs(10)).unwrap_err();
        assert!(error.contains("cannot connect"), "{error}");
        assert!(served_certificate("nonsense", None, Duration::from_secs(1)).is_err());
    }
}
