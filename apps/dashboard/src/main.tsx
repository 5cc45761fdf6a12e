import './environment.ts'
import { Alert, Anchor, AppShell, Group, MantineProvider, Text } from '@mantine/core'
import '@mantine/core/styles.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  Outlet,
  RouterProvider,
} from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError, api } from './api.ts'
import { RunPage } from './pages/run.tsx'
import { RunsPage } from './pages/runs.tsx'

const root = createRootRoute({
  component: () => (
    <AppShell header={{ height: 48 }} padding="md">
      <AppShell.Header px="md">
        <Group h="100%">
          <Anchor component={Link} to="/" fw={700} underline="never">
            Limbeck
          </Anchor>
        </Group>
      </AppShell.Header>
      <AppShell.Main maw={1440} mx="auto">
        <Outlet />
      </AppShell.Main>
    </AppShell>
  ),
  notFoundComponent: () => (
    <Text>
      There is no such page. <Link to="/">All runs</Link>
    </Text>
  ),
})
const runs = createRoute({ getParentRoute: () => root, path: '/', component: RunsPage })
const run = createRoute({
  getParentRoute: () => root,
  path: '/runs/$run',
  component: () => <RunPage run={run.useParams().run} />,
})
const router = createRouter({ routeTree: root.addChildren([runs, run]) })

/** Asking again does not sign anybody in. */
const retry = (failures: number, error: Error): boolean =>
  failures < 1 && !(error instanceof ApiError && error.code === 'unauthenticated')
const client = new QueryClient({ defaultOptions: { queries: { retry, staleTime: 1000 } } })

/** The printed address holds the code behind "#", so that it reaches no server log. */
async function signIn(): Promise<string | null> {
  const code = new URLSearchParams(window.location.hash.slice(1)).get('code')
  if (code === null) return null
  window.history.replaceState(null, '', window.location.pathname + window.location.search)
  try {
    await api.signIn(code)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const problem = await signIn()
const element = document.getElementById('root')
if (element) {
  createRoot(element).render(
    <StrictMode>
      <MantineProvider defaultColorScheme="auto">
        <QueryClientProvider client={client}>
          {problem !== null && (
            <Alert
              color="orange"
              title="Signing in failed"
              style={{ zIndex: 300, position: 'fixed', bottom: 16, right: 16 }}
            >
              {problem}
            </Alert>
          )}
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  )
}
