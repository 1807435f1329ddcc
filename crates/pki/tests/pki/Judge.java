// Judges chains with the JDK's own PKIX implementation (RFC 5280), independent of OpenSSL and of ours.
// Arguments: the folder of cases and the time in milliseconds. A case is a folder with leaf.pem, roots.pem, and perhaps untrusted.pem,
// crls.pem and usage. Prints one line for each: name, tab, ok or the reason.

import java.io.*;
import java.nio.file.*;
import java.security.cert.*;
import java.util.*;

public class Judge {
    public static void main(String[] arguments) throws Exception {
        Date at = new Date(Long.parseLong(arguments[1]));
        File[] cases = new File(arguments[0]).listFiles(File::isDirectory);
        Arrays.sort(cases);
        for (File one : cases) {
            String verdict;
            try {
                judge(one.toPath(), at);
                verdict = "ok";
            } catch (Exception error) {
                verdict = String.valueOf(error).replace('\n', ' ').replace('\t', ' ');
            }
            System.out.println(one.getName() + "\t" + verdict);
        }
    }

    static void judge(Path folder, Date at) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Collection<? extends java.security.cert.Certificate> leaf = read(factory, folder.resolve("leaf.pem"));
        Set<TrustAnchor> anchors = new HashSet<>();
        for (java.security.cert.Certificate root : read(factory, folder.resolve("roots.pem"))) {
            anchors.add(new TrustAnchor((X509Certificate) root, null));
        }
        X509CertSelector target = new X509CertSelector();
        X509Certificate certificate = (X509Certificate) leaf.iterator().next();
        target.setCertificate(certificate);
        Path usage = folder.resolve("usage");
        if (Files.exists(usage)) {
            target.setExtendedKeyUsage(Set.of(Files.readString(usage).trim()));
        }
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
        parameters.setDate(at);
        parameters.setMaxPathLength(20);
        List<Object> pool = new ArrayList<>(leaf);
        pool.addAll(read(factory, folder.resolve("untrusted.pem")));
        Path lists = folder.resolve("crls.pem");
        parameters.setRevocationEnabled(Files.exists(lists));
        if (Files.exists(lists)) {
            try (InputStream in = Files.newInputStream(lists)) {
                pool.addAll(factory.generateCRLs(in));
            }
        }
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(pool)));
        CertPathBuilder.getInstance("PKIX").build(parameters);
    }

    static Collection<? extends java.security.cert.Certificate> read(CertificateFactory factory, Path path) throws Exception {
        if (!Files.exists(path)) {
            return List.of();
        }
        try (InputStream in = Files.newInputStream(path)) {
            return factory.generateCertificates(in);
        }
    }
}
