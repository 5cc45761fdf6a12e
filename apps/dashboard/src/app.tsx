import { Alert, MantineProvider, Text } from '@mantine/core'
import '@mantine/core/styles.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
  RouterProvider,
  useNavigate,
} from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError, api } from './api.ts'
import { EvaluationsSearch, VotingSearch } from './evaluations/search.ts'
import { RunPage } from './run/run-page.tsx'
import { RunSearch } from './run/search.ts'
import { Shell } from './shell/shell.tsx'
import { cssVariables, theme } from './shell/theme.ts'

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Text>
      There is no such page. <Link to="/">All runs</Link>
    </Text>
  ),
  errorComponent: ({ error }) => (
    <Alert color="red" title="This page broke" m="md">
      {error instanceof Error ? error.message : String(error)}. Reload the page; if it breaks again, the
      message above says where.
    </Alert>
  ),
})
const runs = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/runs.tsx'), 'RunsPage'),
})
const run = createRoute({
  getParentRoute: () => root,
  path: '/runs/$run',
  validateSearch: (search) => RunSearch.parse(search),
  component: RunRoute,
})
const evaluations = createRoute({
  getParentRoute: () => root,
  path: '/evaluations',
  validateSearch: (search) => EvaluationsSearch.parse(search),
  component: EvaluationsRoute,
})
const voting = createRoute({
  getParentRoute: () => root,
  path: '/voting',
  validateSearch: (search) => VotingSearch.parse(search),
  component: VotingRoute,
})
const releases = createRoute({
  getParentRoute: () => root,
  path: '/releases',
  component: lazyRouteComponent(() => import('./pages/releases.tsx'), 'ReleasesPage'),
})
const workers = createRoute({
  getParentRoute: () => root,
  path: '/workers',
  component: lazyRouteComponent(() => import('./pages/workers.tsx'), 'WorkersPage'),
})
const router = createRouter({
  routeTree: root.addChildren([runs, run, evaluations, voting, releases, workers]),
})

/** A view is its address: every change of a page's state is one of the URL, without a new entry in the history. */
function RunRoute() {
  const search = run.useSearch()
  const id = run.useParams().run
  const navigate = useNavigate()
  return (
    <RunPage
      key={id}
      run={id}
      search={search}
      onSearch={(change) =>
        void navigate({
          to: '/runs/$run',
          params: { run: id },
          search: (before: RunSearch) => ({ ...before, ...change }),
          replace: true,
          resetScroll: false,
        })
      }
    />
  )
}

const EvaluationsPage = lazyRouteComponent(
  () => import('./evaluations/evaluations-page.tsx'),
  'EvaluationsPage',
)
const VotingPage = lazyRouteComponent(() => import('./evaluations/voting-page.tsx'), 'VotingPage')

function EvaluationsRoute() {
  const navigate = useNavigate()
  return (
    <EvaluationsPage
      search={evaluations.useSearch()}
      onSearch={(change) =>
        void navigate({
          to: '/evaluations',
          search: (before: EvaluationsSearch) => ({ ...before, ...change }),
          replace: true,
          resetScroll: false,
        })
      }
      onVote={(chosen) => void navigate({ to: '/voting', search: { evaluations: chosen || undefined } })}
    />
  )
}

function VotingRoute() {
  const navigate = useNavigate()
  return (
    <VotingPage
      search={voting.useSearch()}
      onSearch={(change) =>
        void navigate({
          to: '/voting',
          search: (before: VotingSearch) => ({ ...before, ...change }),
          replace: true,
          resetScroll: false,
        })
      }
    />
  )
}

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
      <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
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
