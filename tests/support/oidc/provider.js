// An OpenID Connect provider on a free port of this machine, which prints its issuer. The argument is its
// configuration as JSON: the clients, and the claims of each account. Anybody can log in as any account.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { clients, accounts } = JSON.parse(process.argv[2]);

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    claims: { openid: ["sub", "groups"], profile: ["name"], email: ["email"] },
    // Claims of scopes in the ID token, as most providers have them.
    conformIdTokenClaims: false,
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...accounts[sub] }) }),
    cookies: { keys: ["a key of tests"] },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
