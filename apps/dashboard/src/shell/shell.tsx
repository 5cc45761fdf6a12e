import {
  ActionIcon,
  Anchor,
  AppShell,
  Burger,
  Group,
  Kbd,
  Modal,
  NavLink,
  Table,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { useCallback } from 'react'
import { SHORTCUTS, useShortcuts } from './shortcuts.ts'

const PAGES: readonly [to: string, label: string][] = [
  ['/', 'Runs'],
  ['/evaluations', 'Evaluations'],
  ['/releases', 'Models and releases'],
  ['/workers', 'Workers and queues'],
]

/** Navigation, theme and keys around every page. */
export function Shell() {
  const path = useRouterState({ select: ({ location }) => location.pathname })
  const navigate = useNavigate()
  const [help, { open, close }] = useDisclosure(false)
  const [menu, { toggle, close: closeMenu }] = useDisclosure(false)
  const runs = useCallback(() => void navigate({ to: '/' }), [navigate])
  useShortcuts({ help: open, runs })
  return (
    <AppShell
      header={{ height: 48 }}
      navbar={{ width: 190, breakpoint: 'sm', collapsed: { mobile: !menu } }}
      padding="md"
    >
      <AppShell.Header px="md">
        <Group h="100%" justify="space-between">
          <Group gap="xs">
            <Burger opened={menu} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Anchor component={Link} to="/" fw={700} underline="never">
              Limbeck
            </Anchor>
          </Group>
          <Group gap="xs">
            <Theme />
            <ActionIcon
              variant="default"
              onClick={open}
              aria-label="Keyboard shortcuts"
              title="Keyboard shortcuts (?)"
            >
              ?
            </ActionIcon>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        {PAGES.map(([to, label]) => {
          const active = to === '/' ? path === '/' || path.startsWith('/runs') : path.startsWith(to)
          return (
            <NavLink
              key={to}
              component={Link}
              to={to}
              label={label}
              active={active}
              aria-current={active ? 'page' : undefined}
              onClick={closeMenu}
            />
          )
        })}
      </AppShell.Navbar>
      <AppShell.Main maw={1600} mx="auto">
        <Outlet />
      </AppShell.Main>
      <Modal opened={help} onClose={close} title="Keyboard">
        <Table>
          <Table.Tbody>
            {SHORTCUTS.map(([keys, what]) => (
              <Table.Tr key={keys}>
                <Table.Td>
                  <Kbd>{keys}</Kbd>
                </Table.Td>
                <Table.Td>{what}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Modal>
    </AppShell>
  )
}

function Theme() {
  const scheme = useComputedColorScheme('light')
  const { setColorScheme } = useMantineColorScheme()
  const other = scheme === 'dark' ? 'light' : 'dark'
  return (
    <ActionIcon
      variant="default"
      onClick={() => setColorScheme(other)}
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
    >
      {scheme === 'dark' ? '☀' : '☾'}
    </ActionIcon>
  )
}
