// A real OpenID provider for the tests: the package `oidc-provider` with its own forms for login and consent.
//
// usage: node open_id_provider.mjs PORT REDIRECT_ADDRESS RESOURCE FOLDER
// FOLDER is where the package is installed.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [port, redirectAddress, resource, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const server = {
  scope: 'certificates',
  audience: resource,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'RS256' } },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: 'chancery',
      client_secret: 'secret of the browser client',
      redirect_uris: [redirectAddress],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
    {
      client_id: 'machine',
      client_secret: 'secret-of-the-machine',
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
  ],
  // What is said of a person stands in the user info, as the standard has it, and not in the ID token.
  claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email'] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: `${id}@example.org`, email: `${id}@example.org` }),
  }),
  cookies: { keys: ['only for tests'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Machines that name no resource mean ours; people's tokens are for the user info.
      defaultResource: (context, client) => (client.clientId === 'machine' ? resource : undefined),
      getResourceServerInfo: () => server,
    },
  },
  pkce: { required: () => true, methods: ['S256'] },
});

provider.listen(Number(port), '127.0.0.1', () => console.log('the provider listens'));
