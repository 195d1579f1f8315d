//! Broker settings of TLS, SASL, tokens and authorisation.

use super::prelude::*;

settings! { SETTINGS:
    "authorizer.class.name", String, Some(""), Any, ReadOnly, without(Plugins);
    "connection.failed.authentication.delay.ms", Int, Some("100"), at_least(0), ReadOnly, without(Security);
    "connections.max.reauth.ms", Long, Some("0"), Any, ReadOnly, without(Security);
    "delegation.token.expiry.check.interval.ms", Long, Some("3600000"), at_least(1), ReadOnly, without(Security);
    "delegation.token.expiry.time.ms", Long, Some("86400000"), at_least(1), ReadOnly, without(Security);
    "delegation.token.max.lifetime.ms", Long, Some("604800000"), at_least(1), ReadOnly, without(Security);
    "delegation.token.secret.key", Password, None, Any, ReadOnly, without(Security);
    "principal.builder.class", Class,
        Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Any, PerBroker,
        without(Security);
    "sasl.client.callback.handler.class", Class, None, Any, ReadOnly, without(Security);
    "sasl.enabled.mechanisms", List, Some("GSSAPI"), Any, PerBroker, without(Security);
    "sasl.jaas.config", Password, None, Any, PerBroker, without(Security);
    "sasl.kerberos.kinit.cmd", String, Some("/usr/bin/kinit"), Any, PerBroker, without(Security);
    "sasl.kerberos.min.time.before.relogin", Long, Some("60000"), Any, PerBroker, without(Security);
    "sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT"), Any, PerBroker, without(Security);
    "sasl.kerberos.service.name", String, None, Any, PerBroker, without(Security);
    "sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), Any, PerBroker, without(Security);
    "sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), Any, PerBroker, without(Security);
    "sasl.login.callback.handler.class", Class, None, Any, ReadOnly, without(Security);
    "sasl.login.class", Class, None, Any, ReadOnly, without(Security);
    "sasl.login.connect.timeout.ms", Int, None, Any, ReadOnly, without(Security);
    "sasl.login.read.timeout.ms", Int, None, Any, ReadOnly, without(Security);
    "sasl.login.refresh.buffer.seconds", Short, Some("300"), Any, PerBroker, without(Security);
    "sasl.login.refresh.min.period.seconds", Short, Some("60"), Any, PerBroker, without(Security);
    "sasl.login.refresh.window.factor", Double, Some("0.8"), Any, PerBroker, without(Security);
    "sasl.login.refresh.window.jitter", Double, Some("0.05"), Any, PerBroker, without(Security);
    "sasl.login.retry.backoff.max.ms", Long, Some("10000"), Any, ReadOnly, without(Security);
    "sasl.login.retry.backoff.ms", Long, Some("100"), Any, ReadOnly, without(Security);
    "sasl.mechanism.controller.protocol", String, Some("GSSAPI"), Any, ReadOnly, without(Security);
    "sasl.mechanism.inter.broker.protocol", String, Some("GSSAPI"), Any, PerBroker, without(Security);
    "sasl.oauthbearer.assertion.algorithm", String, Some("RS256"), OneOfAnyCase(&["ES256", "RS256"]), ReadOnly,
        without(Security);
    "sasl.oauthbearer.assertion.claim.aud", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), range(0, 86_400), ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.claim.iss", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60"), range(0, 3600), ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.claim.sub", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.file", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.private.key.file", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.private.key.passphrase", Password, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.assertion.template.file", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.client.credentials.client.id", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.client.credentials.client.secret", Password, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.clock.skew.seconds", Int, Some("30"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.expected.audience", List, Some(""), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.expected.issuer", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.jwks.endpoint.url", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.jwt.retriever.class", Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Any, ReadOnly,
        without(Security);
    "sasl.oauthbearer.jwt.validator.class", Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Any, ReadOnly,
        without(Security);
    "sasl.oauthbearer.scope", String, None, Any, ReadOnly, without(Security);
    "sasl.oauthbearer.scope.claim.name", String, Some("scope"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.sub.claim.name", String, Some("sub"), Any, ReadOnly, without(Security);
    "sasl.oauthbearer.token.endpoint.url", String, None, Any, ReadOnly, without(Security);
    "sasl.server.callback.handler.class", Class, None, Any, ReadOnly, without(Security);
    "sasl.server.max.receive.size", Int, Some("524288"), Any, ReadOnly, without(Security);
    "security.inter.broker.protocol", String, Some("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly,
        without(Security);
    "security.providers", String, None, Any, ReadOnly, without(Security);
    "ssl.allow.dn.changes", Boolean, Some("false"), Any, ReadOnly, without(Security);
    "ssl.allow.san.changes", Boolean, Some("false"), Any, ReadOnly, without(Security);
    "ssl.cipher.suites", List, Some(""), Any, PerBroker, without(Security);
    "ssl.client.auth", String, Some("none"), OneOf(&["required", "requested", "none"]), PerBroker, without(Security);
    "ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), Any, PerBroker, without(Security);
    "ssl.endpoint.identification.algorithm", String, Some("https"), Any, PerBroker, without(Security);
    "ssl.engine.factory.class", Class, None, Any, PerBroker, without(Security);
    "ssl.key.password", Password, None, Any, PerBroker, without(Security);
    "ssl.keymanager.algorithm", String, Some("SunX509"), Any, PerBroker, without(Security);
    "ssl.keystore.certificate.chain", Password, None, Any, PerBroker, without(Security);
    "ssl.keystore.key", Password, None, Any, PerBroker, without(Security);
    "ssl.keystore.location", String, None, Any, PerBroker, without(Security);
    "ssl.keystore.password", Password, None, Any, PerBroker, without(Security);
    "ssl.keystore.type", String, Some("JKS"), Any, PerBroker, without(Security);
    "ssl.principal.mapping.rules", String, Some("DEFAULT"), Any, ReadOnly, without(Security);
    "ssl.protocol", String, Some("TLSv1.3"), Any, PerBroker, without(Security);
    "ssl.provider", String, None, Any, PerBroker, without(Security);
    "ssl.secure.random.implementation", String, None, Any, PerBroker, without(Security);
    "ssl.trustmanager.algorithm", String, Some("PKIX"), Any, PerBroker, without(Security);
    "ssl.truststore.certificates", Password, None, Any, PerBroker, without(Security);
    "ssl.truststore.location", String, None, Any, PerBroker, without(Security);
    "ssl.truststore.password", Password, None, Any, PerBroker, without(Security);
    "ssl.truststore.type", String, Some("JKS"), Any, PerBroker, without(Security);
}
