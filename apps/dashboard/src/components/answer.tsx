import { Alert, Center, Loader, Text } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { ApiError } from '../api.ts'

/** Loading, error, empty and data told apart; old data stays in view while an error is shown above it. */
export function Answer<T>({
  query,
  empty,
  children,
}: {
  query: UseQueryResult<T>
  empty?: (data: T) => string | null
  children: (data: T) => ReactNode
}) {
  const problem = query.error && (
    <Alert
      color="red"
      mb="sm"
      title={
        query.error instanceof ApiError && query.error.code === 'unauthenticated'
          ? 'You are not signed in'
          : 'This could not be read'
      }
    >
      {query.error instanceof ApiError && query.error.code === 'unauthenticated'
        ? 'Open the address that ./limbeck up prints: it holds a one-time code.'
        : query.error.message}
    </Alert>
  )
  if (query.data === undefined) {
    return (
      problem ?? (
        <Center p="xl">
          <Loader aria-label="Loading" />
        </Center>
      )
    )
  }
  const nothing = empty?.(query.data)
  return (
    <>
      {problem}
      {nothing ? (
        <Text c="dimmed" p="md">
          {nothing}
        </Text>
      ) : (
        children(query.data)
      )}
    </>
  )
}
